//! The second runtime of the sync engine: the same hubs in virtual time.
//!
//! The machines, the routing and the messages are the core's own, the phones are the client's own; what is simulated is
//! the world around them. One seed gives one run, to the last event, in every build and on every machine.
//!
//! | part | job |
//! | --- | --- |
//! | [`plan`] | who there is, how they are connected, what happens when: plain data |
//! | [`domain`] | what a home is founded with: types, strategies, rules |
//! | [`scenario`] · [`swarm`] | plans as people write them in TOML · plans drawn from seeds |
//! | [`world`] | hubs, clients, disks, clocks and lines in virtual time, driven by one queue |
//! | [`chance`] | random numbers by name: leaving one thing out reshuffles no other |
//! | [`watch`] | sees everything: oracle, trace hash, marks, counts, recording |
//! | [`invariants`] | the promises, one a file |
//! | [`run`] · [`campaign`] | one plan to its end · many seeds on several threads |
//! | [`recording`] · [`story`] · [`draw`] | what happened as data · in words · in pictures |
//! | [`shrink`] · [`compare`] | the smallest plan that breaks the same promise · figures beside a saved baseline |
//! | `zoo` (with the feature) | bugs planted in the core, hunted: they test the tests |
//! | [`command`] | `inbetweenies simulate` |

pub mod campaign;
pub mod chance;
pub mod command;
pub mod compare;
pub mod domain;
pub mod draw;
pub mod invariants;
pub mod plan;
pub mod recording;
pub mod run;
pub mod scenario;
pub mod shrink;
pub mod story;
pub mod swarm;
pub mod watch;
pub mod world;
#[cfg(feature = "zoo")]
pub mod zoo;

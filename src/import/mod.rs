//! Reading what a home already knows elsewhere into the home graph.
//!
//! An importer never talks to a hub and never decides by the clock: it turns a folder into the graph that the
//! folder wishes for, and that wish and what a hub shows into a plan. Sending the plan is the command's
//! business.

pub mod home_assistant;

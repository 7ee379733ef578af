//! I19: every queue, table and cache stays within its declared bound.

use inbetweenies_core::node::size;
use inbetweenies_core::wire::Message;

use super::{Invariant, Violation, at, between};
use crate::plan::Lane;
use crate::watch::{Fate, Oracle, Seen, gauges};
use crate::world::World;

/// See the file.
pub struct Bounds;

impl Invariant for Bounds {
    fn id(&self) -> &'static str {
        "I19"
    }

    fn promise(&self) -> &'static str {
        "every queue and every table stays within its bound"
    }

    fn saw(&mut self, world: &World, _oracle: &Oracle, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Sample | Seen::End => {
                for (name, now, bound) in gauges(world) {
                    if now > bound {
                        return between(format!("{name}: {now}, and {bound} is the bound"));
                    }
                }
                Ok(())
            }
            Seen::Sent {
                from: Lane::Hub(from),
                to: Lane::Hub(to),
                message: message @ (Message::Push { .. } | Message::Clock { .. } | Message::Swim { .. }),
                fate: Fate::Arrives(_) | Fate::HeldUp,
                ..
            } => news_fits(world, *from, *to, message),
            _ => Ok(()),
        }
    }
}

/// News waits within the window that the config names, on one of the connections that it can have gone to.
fn news_fits(world: &World, from: usize, to: usize, message: &Message) -> Result<(), Violation> {
    let window = world.plan.tuning.window_bytes_max;
    let waiting = world.net.conns.values().filter_map(|conn| {
        let hubs = conn.ends.map(|end| end.hub);
        let side = [[from, to], [to, from]].iter().position(|way| *way == hubs)?;
        Some(conn.waiting[side])
    });
    let least = waiting.min().unwrap_or(0);
    if least + size(message) > window {
        let text = format!(
            "{} is put behind {least} bytes that wait, and {window} is the window",
            message.name()
        );
        return at(from, text);
    }
    Ok(())
}

//! How often the first cells of the sketch are enough. Chance decides that, and not how many records there are: so in
//! small homes, and many of them.

use std::collections::BTreeMap;

use crate::home::Home;
use crate::measure::CELLS;
use crate::ours;
use crate::stores::Stores;

/// Records that both hubs hold.
const RECORDS: usize = 64;
const DIFFERENCES: [usize; 5] = [1, 2, 5, 10, 20];

/// A table: of so many homes, the share that took so many round trips, and their bytes.
pub fn report(homes: u64) -> String {
    let mut text =
        format!("\n## Round trips by chance, with the sketch, {homes} homes of {RECORDS} records\n\n");
    text +=
        "| d | up to 1.5 | 2.5 | 3.5 | more | bytes: half of them at most | 9 of 10 | 99 of 100 | all |\n";
    text += "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n";
    for d in DIFFERENCES {
        let mut shares = BTreeMap::from([(3, 0), (5, 0), (7, 0), (u32::MAX, 0)]);
        let mut bytes = Vec::new();
        for seed in 1..=homes {
            let home = Home::draw(RECORDS, d, seed);
            let mut stores = Stores::new(&home);
            let hubs = stores.open(CELLS);
            let cost = ours::compare(&home, &mut stores, &hubs, d);
            if let Some((_, share)) = shares.range_mut(cost.messages..).next() {
                *share += 1;
            }
            bytes.push(cost.bytes);
        }
        bytes.sort_unstable();
        let within = |part: f64| bytes[((bytes.len() as f64 * part).ceil() as usize).max(1) - 1];
        let shares: Vec<String> = shares
            .values()
            .map(|share| format!("{:.1} %", 100.0 * f64::from(*share) / homes as f64))
            .collect();
        text += &format!(
            "| {d} | {} | {} | {} | {} | {} |\n",
            shares.join(" | "),
            within(0.5),
            within(0.9),
            within(0.99),
            within(1.0)
        );
    }
    text
}

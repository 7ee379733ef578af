//! What was measured, as tables for people: Markdown.

use crate::cost::Cost;
use crate::measure::{Results, Spread, Way, bound, slope};

/// The differences at which growth with the records is told.
const FEW: usize = 10;

/// All tables.
pub fn report(results: &Results) -> String {
    let mut text = String::new();
    for (records, differences) in results.sizes() {
        text += &format!("\n## {} records in both stores\n\n", thousands(records as f64));
        text += "| d | way | bytes both ways | a difference | of it to ask | proof after | round trips | ms of CPU | of it encoding |\n";
        text += "| ---: | --- | --- | ---: | ---: | ---: | ---: | --- | ---: |\n";
        for d in differences {
            for way in Way::ALL {
                text += &row(results, records, d, way);
            }
            text += &format!(
                "| {} | information bound | {} | {} |  |  |  |  |  |\n",
                thousands(d as f64),
                thousands(bound(d)),
                each(bound(d), d)
            );
        }
        text += &ratios(results, records);
    }
    text += &growth(results);
    text
}

fn row(results: &Results, records: usize, d: usize, way: Way) -> String {
    let case = (records, d, way);
    let name = way.name();
    let mut text = String::new();
    if let Some(bytes) = results.bytes(case) {
        let of = |of: fn(&Cost) -> f64| results.each(case, |run| Some(of(&run.cost)));
        let few = |spread: Option<Spread>| spread.map_or(String::new(), |spread| thousands(spread.median));
        let trips = of(|cost| f64::from(cost.messages) / 2.0);
        let cpu = results.millis(case).map_or("not measured".to_owned(), millis);
        let encoding = of(|cost| cost.encoding.as_secs_f64() * 1e3);
        let encoding = encoding.filter(|spread| spread.max > 0.0);
        text += &format!(
            "| {} | {name} | {} | {} | {} | {} | {} | {cpu} | {} |\n",
            thousands(d as f64),
            spread(bytes, thousands),
            each(bytes.median, d),
            few(of(|cost| cost.asking as f64).filter(|spread| spread.max > 0.0)),
            few(of(|cost| cost.proof as f64).filter(|spread| spread.max > 0.0)),
            trips.map_or(String::new(), |trips| spread(trips, |trips| format!("{trips}"))),
            encoding.map_or(String::new(), |spread| digits(spread.median)),
        );
    }
    if let Some(why) = results.skipped.get(&case) {
        text += &format!(
            "| {} | {name} | skipped: {why} |  |  |  |  |  |  |\n",
            thousands(d as f64)
        );
    }
    text
}

/// Ours over negentropy, turn by turn.
fn ratios(results: &Results, records: usize) -> String {
    let mut text = String::from(
        "\nOurs ÷ negentropy, turn by turn, median [min..max]:\n\n\
         | d | bytes (sketch) | CPU (sketch) | bytes (descent) | CPU (descent) |\n\
         | ---: | --- | --- | --- | --- |\n",
    );
    let sizes = results.sizes();
    let differences = sizes.iter().find(|(size, _)| *size == records);
    for d in differences.iter().flat_map(|(_, differences)| differences) {
        text += &format!("| {} |", thousands(*d as f64));
        for way in [Way::Sketch, Way::Descent] {
            let of: [fn(&Cost) -> f64; 2] = [|cost| cost.bytes as f64, |cost| cost.cpu.as_secs_f64()];
            for of in of {
                let ratio = results.ratio((records, *d, way), (records, *d, Way::Negentropy), of);
                text += &ratio.map_or(" |".to_owned(), |ratio| format!(" {} |", spread(ratio, digits)));
            }
        }
        text += "\n";
    }
    text
}

/// Slopes of log over log.
fn growth(results: &Results) -> String {
    let sizes = results.sizes();
    let mut text = String::from("\n## Growth, as slopes of log over log\n\n");
    text +=
        &format!("| way | bytes with n, d = {FEW} | CPU with n, d = {FEW} | bytes with d, most records |\n");
    text += "| --- | ---: | ---: | ---: |\n";
    for way in Way::ALL {
        let over_n = |of: &dyn Fn(usize) -> Option<Spread>| {
            let point = |(n, _): &(usize, Vec<usize>)| Some((*n as f64, of(*n)?.median));
            slope(&sizes.iter().filter_map(point).collect::<Vec<_>>())
        };
        let over_d = sizes.last().and_then(|(n, differences)| {
            let point = |d: &usize| Some((*d as f64, results.bytes((*n, *d, way))?.median));
            slope(&differences.iter().filter_map(point).collect::<Vec<_>>())
        });
        let slopes = [
            over_n(&|n| results.bytes((n, FEW, way))),
            over_n(&|n| results.millis((n, FEW, way))),
            over_d,
        ];
        let slopes = slopes.map(|slope| slope.map_or(String::new(), |slope| format!("{slope:.3}")));
        text += &format!("| {} | {} |\n", way.name(), slopes.join(" | "));
    }
    text
}

fn each(bytes: f64, differences: usize) -> String {
    if differences == 0 {
        return String::new();
    }
    digits(bytes / differences as f64)
}

fn spread(spread: Spread, form: impl Fn(f64) -> String) -> String {
    let Spread { median, min, max } = spread;
    if form(min) == form(max) {
        return form(median);
    }
    format!("{} [{}..{}]", form(median), form(min), form(max))
}

fn millis(cpu: Spread) -> String {
    spread(cpu, digits)
}

/// Three digits that mean something.
fn digits(number: f64) -> String {
    let before = if number > 0.0 {
        number.log10().floor() as i32 + 1
    } else {
        1
    };
    if before > 3 {
        return thousands(number);
    }
    let after = (3 - before).clamp(0, 4) as usize;
    format!("{number:.after$}")
}

/// A whole number, its thousands apart.
pub fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_with_three_digits() {
        let told = [0.0, 0.000_123, 0.045_6, 1.234, 12.34, 123.4, 1_234.5, 1_234_567.0].map(digits);
        let right = [
            "0.00",
            "0.0001",
            "0.0456",
            "1.23",
            "12.3",
            "123",
            "1,234",
            "1,234,567",
        ];
        assert_eq!(told.each_ref().map(String::as_str), right);
    }
}

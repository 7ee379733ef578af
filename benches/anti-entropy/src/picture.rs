//! Bytes over differences, both logarithmic, as SVG.

use crate::measure::{Results, Way, bound};
use crate::report::thousands;

const SIZE: (f64, f64) = (980.0, 600.0);
/// Left, top, right, bottom of the plot.
const PLOT: (f64, f64, f64, f64) = (92.0, 84.0, 742.0, 520.0);

const STYLE: &str = r#"
text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; font-size: 13px; fill: #1d2530; }
.title { font-size: 18px; font-weight: 700; }
.about { fill: #5a6470; }
.tick { font-size: 12px; fill: #5a6470; }
.axis { stroke: #4a5563; stroke-width: 1.2; fill: none; }
.grid { stroke: #e3e7ec; stroke-width: 1; fill: none; }
.line { fill: none; stroke-linejoin: round; stroke-linecap: round; }
.name { font-weight: 600; }
"#;

/// One line: its name, its colour, its width, its dashes, its points.
struct Line {
    name: &'static str,
    colour: &'static str,
    width: f64,
    dashes: &'static str,
    points: Vec<(f64, f64)>,
}

/// Draws the largest store that was measured.
pub fn draw(results: &Results) -> String {
    let sizes = results.sizes();
    let Some((records, differences)) = sizes.last() else {
        return String::new();
    };
    let some: Vec<usize> = differences.iter().copied().filter(|d| *d > 0).collect();
    let mut lines: Vec<Line> = [
        (Way::SearchTree, "#a3478f", 2.0, ""),
        (Way::Negentropy, "#c4500b", 2.0, ""),
        (Way::Descent, "#3d8fc6", 2.6, "7 4"),
        (Way::Riblt, "#00795a", 2.0, ""),
        (Way::Sketch, "#004f8c", 3.6, ""),
    ]
    .into_iter()
    .map(|(way, colour, width, dashes)| Line {
        name: way.name(),
        colour,
        width,
        dashes,
        points: some
            .iter()
            .filter_map(|d| Some((*d as f64, results.bytes((*records, *d, way))?.median)))
            .collect(),
    })
    .collect();
    lines.push(Line {
        name: "information bound",
        colour: "#66707d",
        width: 1.6,
        dashes: "2 4",
        points: some.iter().map(|d| (*d as f64, bound(*d))).collect(),
    });
    let all = || lines.iter().flat_map(|line| line.points.iter());
    let ends = |of: fn(&(f64, f64)) -> f64| {
        let logs = all().map(|at| of(at).log10());
        let least = logs.clone().fold(f64::INFINITY, f64::min).floor();
        (
            least,
            logs.fold(f64::NEG_INFINITY, f64::max).ceil().max(least + 1.0),
        )
    };
    let scale = Scale {
        x: ends(|at| at.0),
        y: ends(|at| at.1),
    };
    let mut svg = head(*records);
    svg += &axes(&scale);
    for line in &lines {
        svg += &scale.line(line);
    }
    svg += &legend(&lines);
    svg + "</svg>\n"
}

fn head(records: usize) -> String {
    let (width, height) = SIZE;
    let records = thousands(records as f64);
    let title = format!("Bytes to find d differences between two stores of {records} records");
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         role=\"img\" aria-labelledby=\"title about\">\n\
         <title id=\"title\">{title}</title>\n\
         <desc id=\"about\">One line for each way to reconcile two sets; both axes are logarithmic, lower is better.</desc>\n\
         <style>{STYLE}</style>\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#ffffff\" stroke=\"#d5dae1\"/>\n\
         <text class=\"title\" x=\"24\" y=\"36\">{title}</text>\n\
         <text class=\"about\" x=\"24\" y=\"58\">All messages, both ways; half of the differences on each side. \
         Both axes logarithmic: lower is better.</text>\n"
    )
}

struct Scale {
    x: (f64, f64),
    y: (f64, f64),
}

impl Scale {
    fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let (left, top, right, bottom) = PLOT;
        let along = |log: f64, (from, to): (f64, f64)| (log - from) / (to - from);
        (
            left + (right - left) * along(x.log10(), self.x),
            bottom - (bottom - top) * along(y.log10(), self.y),
        )
    }

    fn line(&self, line: &Line) -> String {
        let Line {
            colour,
            width,
            dashes,
            ..
        } = line;
        let places: Vec<(f64, f64)> = line.points.iter().map(|at| self.at(*at)).collect();
        let path: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let mut svg = format!(
            "<polyline class=\"line\" stroke=\"{colour}\" stroke-width=\"{width}\" stroke-dasharray=\"{dashes}\" \
             points=\"{}\"/>\n",
            path.join(" ")
        );
        let told = |(d, bytes): &(f64, f64)| {
            let (d, bytes) = (thousands(*d), thousands(*bytes));
            format!("{}, d = {d}: {bytes} bytes", line.name)
        };
        for ((x, y), point) in places.iter().zip(&line.points) {
            svg += &format!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{:.1}\" fill=\"{colour}\"><title>{}</title></circle>\n",
                1.6 + width * 0.8,
                told(point)
            );
        }
        svg
    }
}

fn axes(scale: &Scale) -> String {
    let (left, top, right, bottom) = PLOT;
    let mut svg = String::new();
    let powers = |(from, to): (f64, f64)| (from as i32..=to as i32).map(|power| 10f64.powi(power));
    let bytes = |bytes: f64| match bytes {
        bytes if bytes >= 1e9 => format!("{:.0} GB", bytes / 1e9),
        bytes if bytes >= 1e6 => format!("{:.0} MB", bytes / 1e6),
        bytes if bytes >= 1e3 => format!("{:.0} kB", bytes / 1e3),
        bytes => format!("{bytes:.0} B"),
    };
    for d in powers(scale.x) {
        let (x, _) = scale.at((d, 10f64.powf(scale.y.0)));
        svg += &format!("<path class=\"grid\" d=\"M{x:.1} {top}V{bottom}\"/>\n");
        let label = thousands(d);
        svg += &format!(
            "<text class=\"tick\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>\n",
            bottom + 20.0
        );
    }
    for count in powers(scale.y) {
        let (_, y) = scale.at((10f64.powf(scale.x.0), count));
        svg += &format!("<path class=\"grid\" d=\"M{left} {y:.1}H{right}\"/>\n");
        let (x, y, label) = (left - 10.0, y + 4.0, bytes(count));
        svg += &format!("<text class=\"tick\" x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\">{label}</text>\n");
    }
    svg += &format!("<path class=\"axis\" d=\"M{left} {top}V{bottom}H{right}\"/>\n");
    let (x, y) = ((left + right) / 2.0, bottom + 48.0);
    svg += &format!("<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">differences d</text>\n");
    let (x, y) = (26.0, (top + bottom) / 2.0);
    svg += &format!(
        "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\" transform=\"rotate(-90 {x} {y})\">bytes on the wire</text>\n"
    );
    svg
}

/// The lines' names in the order of their ends, highest first.
fn legend(lines: &[Line]) -> String {
    let mut order: Vec<&Line> = lines.iter().filter(|line| !line.points.is_empty()).collect();
    let end = |line: &Line| line.points.last().map_or(0.0, |at| at.1);
    order.sort_by(|a, b| end(b).total_cmp(&end(a)));
    let mut svg = String::new();
    for (at, line) in order.iter().enumerate() {
        let (x, y) = (PLOT.2 + 20.0, PLOT.1 + 14.0 + 26.0 * at as f64);
        let Line {
            name,
            colour,
            width,
            dashes,
            ..
        } = line;
        svg += &format!(
            "<path class=\"line\" stroke=\"{colour}\" stroke-width=\"{width}\" stroke-dasharray=\"{dashes}\" \
             d=\"M{x} {y}h30\"/>\n<text class=\"name\" x=\"{}\" y=\"{}\">{name}</text>\n",
            x + 38.0,
            y + 4.5
        );
    }
    svg
}

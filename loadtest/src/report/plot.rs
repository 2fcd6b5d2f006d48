//! A line plot as inline SVG: no script, no font, no colour of its own; the page's style sheet
//! draws it for light and dark.

use std::fmt::Write as _;

/// Size of the drawing, in its own units.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 250.0;
/// Room for the labels of the axes.
const LEFT: f64 = 58.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 34.0;
/// Marks of an axis, about.
const MARKS: f64 = 5.0;
/// Colours that the style sheet has.
const COLOURS: usize = 6;

/// A plot.
#[derive(Debug, Default)]
pub(super) struct Plot {
    /// What it shows.
    pub(super) title: String,
    /// What the values are.
    pub(super) unit: &'static str,
    /// The lines.
    pub(super) lines: Vec<Line>,
    /// Marks of the horizontal axis: where and what; without any, they are numbers.
    pub(super) marks: Vec<(f64, String)>,
    /// Whether each step of the vertical axis is ten times the one before it.
    pub(super) logarithmic: bool,
}

/// A line.
#[derive(Debug)]
pub(super) struct Line {
    /// Its name.
    pub(super) name: String,
    /// Its points.
    pub(super) points: Vec<(f64, f64)>,
}

/// From values to places.
struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    logarithmic: bool,
}

impl Scale {
    fn place(&self, value: f64) -> f64 {
        let turn = |value: f64| if self.logarithmic { value.max(1e-9).log10() } else { value };
        let (low, high) = (turn(self.low), turn(self.high));
        let share = if high > low { (turn(value) - low) / (high - low) } else { 0.0 };
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// Round values between the ends.
    fn marks(&self) -> Vec<f64> {
        if self.logarithmic {
            let (low, high) = (self.low.log10().round() as i32, self.high.log10().round() as i32);
            return (low..=high).map(|power| 10_f64.powi(power)).collect();
        }
        let step = round_step((self.high - self.low) / MARKS);
        let first = (self.low / step - 1e-9).ceil() * step;
        let count = ((self.high - first) / step + 1e-9) as usize;
        (0..=count).map(|nth| first + nth as f64 * step).collect()
    }
}

/// 1, 2 or 5 times a power of ten, not below this.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.max(1e-9).log10().floor());
    let times = [1.0, 2.0, 5.0, 10.0].into_iter().find(|times| times * power >= step * 0.999);
    times.unwrap_or(10.0) * power
}

impl Plot {
    /// The plot with its title and legend; nothing if there is nothing to be shown.
    pub(super) fn figure(&self) -> String {
        let lines: Vec<&Line> = self.lines.iter().filter(|line| line.points.len() > 1).collect();
        if lines.is_empty() {
            return String::new();
        }
        let mut html = format!("<figure><figcaption>{}", escape(&self.title));
        for (at, line) in lines.iter().enumerate() {
            let (colour, name) = (at % COLOURS, escape(&line.name));
            let _ = write!(html, " <span class=\"key c{colour}\">{name}</span>");
        }
        let title = escape(&self.title);
        let _ = write!(
            html,
            "</figcaption><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">"
        );
        let (x, y) = self.scales(&lines);
        self.axes(&mut html, &x, &y);
        for (at, line) in lines.iter().enumerate() {
            let place = |(to, up): &(f64, f64)| format!("{:.1},{:.1}", x.place(*to), y.place(*up));
            let points: Vec<String> = line.points.iter().map(place).collect();
            let colour = at % COLOURS;
            let _ = write!(html, "<polyline class=\"c{colour}\" points=\"{}\"/>", points.join(" "));
        }
        html + "</svg></figure>"
    }

    fn scales(&self, lines: &[&Line]) -> (Scale, Scale) {
        let points = || lines.iter().flat_map(|line| &line.points);
        let fold = |values: &mut dyn Iterator<Item = f64>, with: fn(f64, f64) -> f64, from| {
            values.fold(from, with)
        };
        let low_x = fold(&mut points().map(|point| point.0), f64::min, f64::MAX);
        let high_x = fold(&mut points().map(|point| point.0), f64::max, f64::MIN);
        let high = fold(&mut points().map(|point| point.1), f64::max, 0.0);
        let low = fold(&mut points().map(|point| point.1), f64::min, f64::MAX);
        let (low, high) = match self.logarithmic {
            true => {
                let low = 10_f64.powf(low.max(0.01).log10().floor());
                (low, 10_f64.powf(high.max(low * 10.0).log10().ceil()))
            }
            false => {
                let step = round_step(high.max(1e-6) / MARKS);
                (0.0, (high.max(1e-6) / step).ceil() * step)
            }
        };
        let x =
            Scale { low: low_x, high: high_x, from: LEFT, to: WIDTH - RIGHT, logarithmic: false };
        let (from, to) = (HEIGHT - BOTTOM, TOP);
        (x, Scale { low, high, from, to, logarithmic: self.logarithmic })
    }

    fn axes(&self, html: &mut String, x: &Scale, y: &Scale) {
        for mark in y.marks() {
            let (place, end) = (y.place(mark), WIDTH - RIGHT);
            let _ = write!(
                html,
                "<path d=\"M{LEFT} {place:.1}H{end}\"/><text x=\"{}\" y=\"{:.1}\" class=\"end\">{}</text>",
                LEFT - 6.0,
                place + 4.0,
                short(mark)
            );
        }
        let marks = match self.marks.as_slice() {
            [] => x.marks().into_iter().map(|mark| (mark, short(mark))).collect(),
            marks => marks.to_vec(),
        };
        for (mark, name) in marks {
            let place = x.place(mark);
            let _ = write!(
                html,
                "<text x=\"{place:.1}\" y=\"{}\" class=\"middle\">{}</text>",
                HEIGHT - BOTTOM + 18.0,
                escape(&name)
            );
        }
        let _ = write!(html, "<text x=\"4\" y=\"{}\">{}</text>", HEIGHT - 4.0, escape(self.unit));
    }
}

/// A number without needless digits.
pub(super) fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 1e6 => format!("{}M", trim(value / 1e6)),
        v if v >= 1e4 => format!("{}k", trim(value / 1e3)),
        _ => trim(value),
    }
}

/// A number as it is, with thousands apart.
pub(super) fn whole(value: f64) -> String {
    if value.abs() < 1e4 {
        return trim(value);
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && digit.is_ascii_digit() && (digits.len() - nth).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn trim(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A text for HTML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lie_between_round_marks() {
        let points = vec![(0.0, 0.0), (1.0, 37.0), (2.0, 18.5)];
        let plot = Plot { lines: vec![Line { name: "a<b".into(), points }], ..Plot::default() };
        let html = plot.figure();
        assert!(html.contains("<span class=\"key c0\">a&lt;b</span>"), "{html}");
        assert!(html.contains(">40</text>") && html.contains(">10</text>"), "{html}");
        assert!(html.contains("points=\"58.0,216.0 377.0,27.3 696.0,121.6\""), "{html}");
    }

    #[test]
    fn a_logarithmic_axis_has_powers_of_ten() {
        let points = vec![(0.0, 3.0), (1.0, 420.0)];
        let lines = vec![Line { name: "a".into(), points }];
        let html = Plot { lines, logarithmic: true, ..Plot::default() }.figure();
        for mark in [">1<", ">10<", ">100<", ">1000<"] {
            assert!(html.contains(mark), "{mark} {html}");
        }
    }

    #[test]
    fn large_numbers_have_their_thousands_apart() {
        let all = [1.5, 9_999.0, 10_267.0, 1_234_567.8].map(whole);
        assert_eq!(all, ["1.5", "9999", "10,267", "1,234,568"]);
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert_eq!(Plot::default().figure(), "");
    }
}

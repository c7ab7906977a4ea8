//! Statements made by a seed, of every clause and function.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// 2026-03-02; seconds.
const START: u64 = 1_772_409_600;

struct Source {
    name: &'static str,
    tags: &'static [&'static str],
    numbers: &'static [&'static str],
    /// Fields of any type.
    fields: &'static [&'static str],
    conditions: &'static [&'static str],
    /// No two points have the same time.
    distinct_times: bool,
    seconds: u64,
}

const SOURCES: [Source; 4] = [
    Source {
        name: "ride",
        tags: &["city", "driver", "service"],
        numbers: &["fare", "distance", "seats", "number"],
        fields: &["fare", "distance", "seats", "number", "rated", "note"],
        conditions: &[
            "city = 'jakarta'",
            "city != 'jakarta'",
            "city =~ /^(jak|ban)/",
            "driver !~ /d0[1-4]/",
            "service = ''",
            "service != ''",
            "fare > 1000",
            "fare > 500 AND seats < 4",
            "seats = 3 OR city = 'bandung'",
            "(city = 'jakarta' OR city = 'surabaya') AND distance >= 50.5",
            "note = 'late'",
            "note =~ /show/",
            "rated = true",
            "rated != true",
            "fare / 2 > distance",
            "nothing = 'x'",
            "nothing != 'x'",
            "fare + number > 100000 AND service = 'food'",
        ],
        distinct_times: true,
        seconds: 200_000,
    },
    Source {
        name: "load",
        tags: &["host", "zone"],
        numbers: &["value", "count"],
        fields: &["value", "count"],
        conditions: &[
            "host = 'h1'",
            "host =~ /h[0-3]/",
            "zone = 'a'",
            "zone != 'a'",
            "value > 50",
            "count < 0 AND zone = 'b'",
        ],
        distinct_times: false,
        seconds: 360_000,
    },
    Source {
        name: "\"odd one\"",
        tags: &["\"the tag\""],
        numbers: &["\"a field\""],
        fields: &["\"a field\"", "\"select\""],
        conditions: &["\"the tag\" = 'it\\'s'", "\"the tag\" != 'x,y'", "\"a field\" >= 500", "\"select\" = 'k=v'"],
        distinct_times: true,
        seconds: 200_000,
    },
    Source {
        name: "event",
        tags: &["none"],
        numbers: &["size"],
        fields: &["size", "open"],
        conditions: &["size > 10", "open = true", "size < 5 OR open = false"],
        distinct_times: true,
        seconds: 200_000,
    },
];

struct Maker {
    random: ChaCha8Rng,
}

pub fn statements(seed: u64, count: usize) -> Vec<String> {
    let mut maker = Maker { random: ChaCha8Rng::seed_from_u64(seed ^ 0x5eed) };
    (0..count).map(|_| maker.statement()).collect()
}

impl Maker {
    fn below(&mut self, count: usize) -> usize {
        self.random.random_range(0..count)
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    fn statement(&mut self) -> String {
        let source = &SOURCES[self.below(SOURCES.len())];
        match self.below(10) {
            0 | 1 => self.raw(source),
            2..6 => self.windows(source),
            6 | 7 => self.whole(source),
            8 => self.steps(source),
            _ => self.nested(source),
        }
    }

    fn times(&mut self, source: &Source, widest: u64) -> String {
        let from = START + self.random.random_range(0..source.seconds / 2);
        let to = from + 60 + self.random.random_range(0..widest);
        match self.below(4) {
            0 => format!("time >= {from}s AND time < {to}s"),
            1 => format!("time > {from}000000000 AND time <= {to}000ms"),
            2 => format!("time >= '2026-03-02T0{}:00:00Z' AND time < {to}s", self.below(10)),
            _ => format!(
                "time >= '2026-03-02 0{}:30:00' AND time <= '2026-03-0{} 12:00:00.5'",
                self.below(10),
                2 + self.below(2)
            ),
        }
    }

    fn condition(&mut self, source: &Source, widest: u64, must_have_times: bool) -> String {
        let mut parts = Vec::new();
        if must_have_times || !self.one_in(3) {
            parts.push(self.times(source, widest));
        }
        for _ in 0..self.below(3) {
            parts.push(format!("({})", self.of(source.conditions)));
        }
        if parts.is_empty() { String::new() } else { format!(" WHERE {}", parts.join(" AND ")) }
    }

    fn groups(&mut self, source: &Source) -> Vec<String> {
        match self.below(6) {
            0 => vec!["*".into()],
            1 => vec!["/e/".into()],
            2 | 3 => vec![self.of(source.tags).to_owned()],
            _ => Vec::new(),
        }
    }

    fn order(&mut self) -> &'static str {
        if self.one_in(4) { " ORDER BY time DESC" } else { "" }
    }

    fn raw(&mut self, source: &Source) -> String {
        let mut fields = vec![self.of(source.fields).to_owned()];
        for _ in 0..self.below(3) {
            let list = if self.one_in(2) { source.tags } else { source.fields };
            fields.push(self.of(list).to_owned());
        }
        if self.one_in(4) {
            let (a, b) = (self.of(source.numbers), self.of(source.numbers));
            fields.push(format!("{a} {} {b}", self.of(&["+", "-", "*", "/", "%"])));
        }
        if self.one_in(5) {
            fields = vec!["*".into()];
        }
        let condition = self.condition(source, 3_000, true);
        let groups = self.groups(source);
        let mut text = format!("SELECT {} FROM {}{condition}", fields.join(", "), source.name);
        if !groups.is_empty() {
            text.push_str(&format!(" GROUP BY {}", groups.join(", ")));
        }
        text.push_str(self.order());
        if source.distinct_times && self.one_in(2) {
            text.push_str(&format!(" LIMIT {}", 1 + self.below(20)));
            if self.one_in(2) {
                text.push_str(&format!(" OFFSET {}", self.below(10)));
            }
        }
        text
    }

    fn aggregate(&mut self, source: &Source) -> String {
        let number = self.of(source.numbers);
        match self.below(12) {
            0 => format!("count({})", self.of(source.fields)),
            1 => format!("sum({number})"),
            2 => format!("mean({number})"),
            3 => format!("median({number})"),
            4 => format!("min({number})"),
            5 => format!("max({number})"),
            6 if source.distinct_times => format!("first({})", self.of(source.fields)),
            7 if source.distinct_times => format!("last({})", self.of(source.fields)),
            8 => format!("spread({number})"),
            9 => format!("stddev({number})"),
            10 => format!("count(distinct({}))", self.of(source.fields)),
            _ => format!("percentile({number}, {})", [50, 60, 75, 90, 99, 100][self.below(6)]),
        }
    }

    fn aggregates(&mut self, source: &Source) -> String {
        let mut fields = vec![self.aggregate(source)];
        for _ in 0..self.below(3) {
            fields.push(self.aggregate(source));
        }
        if self.one_in(5) {
            let (a, b) = (self.of(source.numbers), self.of(source.numbers));
            fields.push(format!("sum({a}) {} (max({b}) + 1) AS made", self.of(&["+", "-", "*", "/"])));
        }
        if self.one_in(8) {
            let all = self.of(&["sum(*)", "count(*)", "max(*)", "min(*)", "mean(/a/)"]).to_owned();
            fields = vec![all];
        }
        fields.join(", ")
    }

    fn windows(&mut self, source: &Source) -> String {
        let fields = self.aggregates(source);
        let (interval, widest) =
            [("30s", 3_000), ("1m", 6_000), ("7m", 30_000), ("1h", 200_000), ("1d", 400_000)][self.below(5)];
        let condition = self.condition(source, widest, true);
        let interval = if self.one_in(5) { format!("{interval}, {}s", self.below(200)) } else { interval.to_owned() };
        let mut groups = vec![format!("time({interval})")];
        groups.extend(self.groups(source));
        let fill = self.of(&[
            "",
            "",
            " fill(null)",
            " fill(none)",
            " fill(0)",
            " fill(previous)",
            " fill(linear)",
            " fill(-7.5)",
        ]);
        let mut text = format!("SELECT {fields} FROM {}{condition} GROUP BY {}{fill}", source.name, groups.join(", "));
        text.push_str(self.order());
        if self.one_in(3) {
            text.push_str(&format!(" LIMIT {}", 1 + self.below(10)));
        }
        if groups.len() > 1 && self.one_in(4) {
            text.push_str(&format!(" SLIMIT {}", 1 + self.below(4)));
            if self.one_in(2) {
                text.push_str(&format!(" SOFFSET {}", self.below(3)));
            }
        }
        if self.one_in(8) {
            text.push_str(&format!(" tz('{}')", self.of(&["Asia/Jakarta", "Europe/Berlin", "America/New_York"])));
        }
        text
    }

    fn whole(&mut self, source: &Source) -> String {
        let fields = match self.below(4) {
            0 => format!("distinct({})", self.of(source.fields)),
            1 if source.distinct_times => {
                let tag = self.of(source.tags);
                format!("{}({}), {tag}", self.of(&["max", "min", "first", "last"]), self.of(source.numbers))
            }
            2 if source.name == "ride" => format!("{}(number, {})", self.of(&["top", "bottom"]), 1 + self.below(9)),
            _ => self.aggregates(source),
        };
        let condition = self.condition(source, 100_000, false);
        let groups = self.groups(source);
        let mut text = format!("SELECT {fields} FROM {}{condition}", source.name);
        if !groups.is_empty() {
            text.push_str(&format!(" GROUP BY {}", groups.join(", ")));
        }
        text.push_str(self.order());
        text
    }

    /// Functions that go from point to point.
    fn steps(&mut self, source: &Source) -> String {
        let number = self.of(source.numbers);
        let function = self.below(7);
        let call = |inner: &str| match function {
            0 => format!("derivative({inner})"),
            1 => format!("non_negative_derivative({inner}, 10s)"),
            2 => format!("difference({inner})"),
            3 => format!("non_negative_difference({inner})"),
            4 => format!("moving_average({inner}, 3)"),
            5 => format!("cumulative_sum({inner})"),
            _ => format!("elapsed({inner}, 1s)"),
        };
        if source.distinct_times && self.one_in(2) {
            let condition = self.condition(source, 3_000, true);
            let groups = self.groups(source);
            let by = if groups.is_empty() { String::new() } else { format!(" GROUP BY {}", groups.join(", ")) };
            return format!("SELECT {} FROM {}{condition}{by}{}", call(number), source.name, self.order());
        }
        let inner = format!("{}({number})", self.of(&["mean", "sum", "max", "count", "last"]));
        let condition = self.condition(source, 6_000, true);
        let mut groups = vec!["time(1m)".to_owned()];
        groups.extend(self.groups(source));
        let fill = self.of(&["", " fill(none)", " fill(0)", " fill(previous)"]);
        format!(
            "SELECT {} FROM {}{condition} GROUP BY {}{fill}{}",
            call(&inner),
            source.name,
            groups.join(", "),
            self.order()
        )
    }

    fn nested(&mut self, source: &Source) -> String {
        let number = self.of(source.numbers);
        let tag = self.of(source.tags);
        let inner = self.of(&["mean", "sum", "max", "min", "count"]);
        let outer = self.of(&["mean", "sum", "max", "min", "count", "spread"]);
        let condition = self.condition(source, 20_000, true);
        match self.below(4) {
            0 => format!(
                "SELECT {outer}(x) FROM (SELECT {inner}({number}) AS x FROM {}{condition} GROUP BY {tag})",
                source.name
            ),
            1 => format!(
                "SELECT {outer}(x) FROM (SELECT {inner}({number}) AS x FROM {}{condition} GROUP BY time(1m), {tag}) GROUP BY {tag}",
                source.name
            ),
            2 => format!("SELECT {outer}({number}) FROM (SELECT {number} FROM {}{condition})", source.name),
            _ => format!(
                "SELECT {outer}(x) FROM (SELECT {inner}({number}) AS x FROM {}{condition} GROUP BY time(30s), {tag} fill(none)) \
                 WHERE {} GROUP BY time(10m)",
                source.name,
                self.times(source, 20_000)
            ),
        }
    }
}

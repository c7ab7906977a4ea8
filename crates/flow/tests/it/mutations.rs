//! Broken texts: the planner gives a plan or an error with a place inside the text, and never panics.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::orders::try_plan;

const QUERIES: [&str; 9] = [
    "SELECT city AS tag_city, S2Id(pickup.lat, pickup.lon, 13) AS tag_s2, count(1) AS n, TUMBLE_END(rowtime, INTERVAL '60' SECOND) AS window_timestamp, FROM `orders` WHERE kind = 'CAR' GROUP BY TUMBLE(rowtime, INTERVAL '60' SECOND), city, S2Id(pickup.lat, pickup.lon, 13)",
    "SELECT city, count(1) AS n, window_start, window_end FROM TABLE(SESSION(TABLE orders PARTITION BY city, DESCRIPTOR(rowtime), INTERVAL '5' SECOND)) GROUP BY window_start, window_end, city HAVING count(1) > 3",
    "WITH w AS (SELECT city, sum(count) AS n, window_time AS rowtime FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(rowtime), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end, window_time, city) SELECT sum(n) AS n, window_end FROM TABLE(HOP(TABLE w, DESCRIPTOR(rowtime), INTERVAL '1' MINUTE, INTERVAL '2' MINUTE)) GROUP BY window_start, window_end",
    "SELECT id, u.name, h.bucket FROM orders AS o LEFT JOIN UNNEST(o.items) AS u(name, n, at) ON TRUE, LATERAL TABLE(HistogramBucket(amount, '10,100')) AS h(bucket)",
    "SELECT id, paid.nanos, _offset, labels['a'], MapGet(labels, 'b') FROM orders WHERE pickup.at.seconds BETWEEN 1 AND 5 OR rating IS NULL",
    "SELECT l.city, l.n, r.n AS m FROM (SELECT city, count(1) AS n, TUMBLE_END(rowtime, INTERVAL '10' SECOND) AS e FROM orders GROUP BY TUMBLE(rowtime, INTERVAL '10' SECOND), city) AS l FULL JOIN (SELECT city, count(1) AS n, TUMBLE_END(rowtime, INTERVAL '10' SECOND) AS e FROM others GROUP BY TUMBLE(rowtime, INTERVAL '10' SECOND), city) AS r ON l.city = r.city AND l.e = r.e",
    "SELECT CASE WHEN amount > 50 THEN 'big' ELSE 'small' END AS size, array_agg(id ORDER BY amount DESC), PercentileAggregator(95, amount) FILTER (WHERE count > 1), CUMULATE_END(rowtime, INTERVAL '1' MINUTE, INTERVAL '1' HOUR) AS e FROM (SELECT * FROM orders UNION ALL SELECT * FROM others) GROUP BY CUMULATE(rowtime, INTERVAL '1' MINUTE, INTERVAL '1' HOUR), 1",
    "SELECT city, n FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY e ORDER BY n DESC) AS r FROM (SELECT city, sum(count) AS n, HOP_END(rowtime, INTERVAL '1:30' MINUTE TO SECOND, INTERVAL '3' MINUTE) AS e FROM orders GROUP BY HOP(rowtime, INTERVAL '1:30' MINUTE TO SECOND, INTERVAL '3' MINUTE), city)) WHERE r <= 3",
    "SELECT FormatTimeInZone(rowtime, 'Asia/Jakarta', 'yyyy-MM-dd'), JsonQuery(id, '$.a'), ElementAt(readings, -1), Split(city, ','), ListContains(readings, 1.0), GeoHash(pickup.lat, pickup.lon, 6) FROM orders",
];

fn check(text: &str) -> bool {
    match std::panic::catch_unwind(|| try_plan(text).map(|_| ())) {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            let lines = text.lines().count().max(1);
            let line = text.lines().nth(error.line - 1).unwrap_or_default();
            assert!(error.line <= lines, "line {} of {lines}: {error}\n{text}", error.line);
            assert!(error.column <= line.chars().count() + 2, "{error}\n{text}");
            assert!(!error.message.trim().is_empty(), "no message\n{text}");
            assert!(
                !error.message.contains("millrace_") && !error.message.contains("nternal error"),
                "{error}\n{text}"
            );
            false
        }
        Err(_) => panic!("the planner panicked at\n{text}"),
    }
}

/// The text in words, brackets and signs.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for c in text.chars() {
        let joins = |c: char| c.is_alphanumeric() || c == '_';
        match words.last_mut() {
            Some(word) if joins(c) && word.chars().last().is_some_and(joins) => word.push(c),
            _ => words.push(c.to_string()),
        }
    }
    words
}

#[test]
fn the_queries_themselves_plan() {
    for query in QUERIES {
        if let Err(error) = try_plan(query) {
            panic!("{error}\n{query}");
        }
    }
}

#[test]
fn texts_that_are_cut_off() {
    for query in QUERIES {
        let words = words(query);
        for end in (0..words.len()).step_by(3) {
            check(&words[..end].concat());
        }
    }
}

#[test]
fn texts_with_words_left_out_doubled_and_swapped() {
    let mut random = ChaCha8Rng::seed_from_u64(20_261_121);
    let all: Vec<String> = QUERIES.iter().flat_map(|query| words(query)).collect();
    let mut planned = 0;
    for round in 0..1_200 {
        let mut words = words(QUERIES[round % QUERIES.len()]);
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..words.len());
            let other = random.random_range(0..words.len());
            match random.random_range(0..5) {
                0 => drop(words.remove(at)),
                1 => words.swap(at, other),
                2 => words.insert(at, words[other].clone()),
                3 => words[at] = all[random.random_range(0..all.len())].clone(),
                _ => words.insert(
                    at,
                    ["(", ")", ",", "'", "\n", "`", "NULL", "é", "--", "-1"][random.random_range(0..10)].into(),
                ),
            }
        }
        planned += usize::from(check(&words.concat()));
    }
    assert!(planned > 20, "only {planned} of the texts were queries");
}

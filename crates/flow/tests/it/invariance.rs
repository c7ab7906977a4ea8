//! The same files give the same bytes for any batch size and any number of threads, floats included.

use crate::events::{events, run, run_tables};

const QUERIES: [&str; 5] = [
    "SELECT `key` AS k, kind, sum(weight) AS w, avg(weight) AS mean, stddev(weight) AS deviation, ApproxPercentile(0.9, weight) AS p, \
     CollectArray(amount) AS amounts, DistinctCount(amount) AS distinct_amounts, TUMBLE_END(rowtime, INTERVAL '20' SECOND) AS e \
     FROM t GROUP BY TUMBLE(rowtime, INTERVAL '20' SECOND), `key`, kind",
    "SELECT kind, sum(weight) AS w, median(weight) AS middle, corr(weight, amount) AS c, HOP_END(rowtime, INTERVAL '3' SECOND, INTERVAL '30' SECOND) AS e \
     FROM t GROUP BY HOP(rowtime, INTERVAL '3' SECOND, INTERVAL '30' SECOND), kind",
    "SELECT `key` AS k, sum(weight) AS w, SESSION_END(rowtime, INTERVAL '2' SECOND) AS e FROM t GROUP BY SESSION(rowtime, INTERVAL '2' SECOND), `key`",
    "SELECT `key` AS k, amount * 2 AS twice, rowtime FROM t WHERE kind = 'APPLE'",
    "SELECT name, sum(count) AS n, TUMBLE_END(rowtime, INTERVAL '1' MINUTE) AS e FROM t CROSS JOIN UNNEST(t.items) AS u(name, count) \
     GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE), name",
];

#[test]
fn batches_and_threads_do_not_matter() {
    let partitions: Vec<_> = (0..4).map(|part| events(100 + part, 3_000, 8_000)).collect();
    for query in QUERIES {
        let (expected, ledger) = run(query, &partitions, 4_000, 8_192, 1);
        assert!(!expected.is_empty(), "{query}");
        for (batch_rows, threads) in [(8_192, 2), (1_000, 4), (77, 3), (5, 1)] {
            let (found, found_ledger) = run(query, &partitions, 4_000, batch_rows, threads);
            assert!(found == expected, "other bytes with batches of {batch_rows} and {threads} threads: {query}");
            assert_eq!(found_ledger, ledger, "{query}");
        }
    }
}

#[test]
fn a_join_of_windows_does_not_depend_on_batches() {
    let (left, right) = ([events(1, 2_000, 3_000), events(2, 2_000, 3_000)], [events(3, 2_000, 3_000)]);
    let query = "SELECT a.k AS k, a.n AS n, b.n AS m, a.e AS e FROM \
        (SELECT `key` AS k, count(1) AS n, TUMBLE_END(rowtime, INTERVAL '10' SECOND) AS e FROM l GROUP BY TUMBLE(rowtime, INTERVAL '10' SECOND), `key`) AS a \
        FULL JOIN \
        (SELECT `key` AS k, count(1) AS n, TUMBLE_END(rowtime, INTERVAL '10' SECOND) AS e FROM r GROUP BY TUMBLE(rowtime, INTERVAL '10' SECOND), `key`) AS b \
        ON a.k = b.k AND a.e = b.e";
    let tables: [(&str, &[_]); 2] = [("l", &left), ("r", &right)];
    let (expected, _) = run_tables(query, &tables, 4_000, 8_192, 1);
    assert!(expected.contains("\"n\":null") && expected.contains("\"m\":null"), "a full join keeps both sides");
    for (batch_rows, threads) in [(100, 1), (7, 2)] {
        assert!(run_tables(query, &tables, 4_000, batch_rows, threads).0 == expected, "batches of {batch_rows}");
    }
}

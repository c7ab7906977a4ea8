//! Every clause that the parser reads is either honoured (`windowed.rs`, `queries.rs`) or refused at its place.

use crate::orders::refused;

const GROUPED: &str = "SELECT city, count(1) AS n, TUMBLE_END(rowtime, INTERVAL '1' MINUTE) AS e FROM orders \
                       GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE), city";

#[test]
fn clauses_of_a_query() {
    for (query, words) in [
        ("SELECT id FROM orders «LIMIT» 5", "ROW_NUMBER"),
        ("SELECT id FROM orders «OFFSET» 5", "does not end"),
        ("SELECT id FROM orders «FETCH» FIRST 5 ROWS ONLY", "does not end"),
        ("SELECT id FROM (SELECT id FROM orders «LIMIT» 5)", "ROW_NUMBER"),
        ("SELECT id FROM orders «ORDER» BY id", "order of their windows' ends"),
        ("SELECT id FROM (SELECT id FROM orders «ORDER» BY id)", "no effect"),
        ("WITH «RECURSIVE» r AS (SELECT id FROM orders) SELECT id FROM r", "RECURSIVE"),
        ("SELECT id FROM orders «UNION» SELECT id FROM others", "UNION ALL"),
        ("SELECT id FROM orders «EXCEPT» SELECT id FROM others", "EXCEPT"),
        ("SELECT id FROM orders «INTERSECT» SELECT id FROM others", "INTERSECT"),
        ("SELECT id FROM orders «FOR» UPDATE", "FOR"),
        ("«VALUES» (1)", "reads no stream"),
        ("SELECT «/*+ OPTIONS('a'='b') */» id FROM orders", "hints"),
        ("SELECT id FROM orders «/*+ OPTIONS('scan.startup.mode'='earliest-offset') */»", "hints"),
    ] {
        refused(query, words);
    }
    refused(&format!("{GROUPED} «ORDER» BY n"), "order of their windows' ends");
    refused(&format!("{GROUPED} «ORDER» BY e DESC"), "order of their windows' ends");
}

#[test]
fn clauses_of_a_select() {
    for (query, words) in [
        ("SELECT «DISTINCT» city FROM orders", "window"),
        ("SELECT DISTINCT «ON» (city) city, id FROM orders", "DISTINCT ON"),
        ("SELECT city, count(1) FROM orders «GROUP» BY city", "window"),
        ("SELECT «count»(1) FROM orders", "window"),
        (
            "SELECT city, count(1) AS n FROM orders GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE), «GROUPING» SETS ((city), ())",
            "UNION ALL",
        ),
        (
            "SELECT city, count(1) AS n FROM orders GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE), «ROLLUP» (city)",
            "UNION ALL",
        ),
        (
            "SELECT city, count(1) AS n FROM orders GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE), «CUBE» (city)",
            "UNION ALL",
        ),
        ("SELECT id FROM orders WHERE «city» IN (SELECT city FROM others)", "join two windowed"),
        ("SELECT id FROM orders WHERE EXISTS («SELECT» city FROM others)", "join two windowed"),
        ("SELECT id, («SELECT» max(count) FROM others) AS m FROM orders", "join two windowed"),
        ("SELECT id FROM orders WHERE count > ANY («SELECT» count FROM others)", "join two windowed"),
        ("SELECT id, row_number() «OVER» (ORDER BY rowtime) AS n FROM orders", "group by a window first"),
        (
            "SELECT id, sum(count) «OVER» (PARTITION BY city ORDER BY rowtime ROWS BETWEEN 5 PRECEDING AND CURRENT ROW) AS n FROM orders",
            "group by a window first",
        ),
        (
            "SELECT id FROM orders QUALIFY row_number() «OVER» (PARTITION BY city ORDER BY rowtime) = 1",
            "group by a window first",
        ),
    ] {
        refused(query, words);
    }
}

#[test]
fn clauses_of_tables() {
    for (query, words) in [
        ("SELECT id FROM orders «TABLESAMPLE» BERNOULLI (10)", "TABLESAMPLE"),
        (
            "SELECT o.id FROM orders AS o JOIN others FOR «SYSTEM_TIME» AS OF o.rowtime AS r ON o.id = r.id",
            "lookup joins",
        ),
        ("SELECT o.id FROM orders AS o «JOIN» others AS r ON o.id = r.id", "interval and lookup joins come later"),
        (
            "SELECT o.id FROM orders AS o «JOIN» others AS r ON o.id = r.id AND o.rowtime BETWEEN r.rowtime - INTERVAL '10' MINUTE AND r.rowtime",
            "interval",
        ),
        ("SELECT id FROM orders, «LATERAL» (SELECT name FROM others) AS x", "LATERAL"),
        ("SELECT o.id FROM orders AS o LEFT «SEMI» JOIN others AS r ON o.id = r.id", "SEMI"),
        ("SELECT o.id FROM orders AS o LEFT «ANTI» JOIN others AS r ON o.id = r.id", "ANTI"),
        ("SELECT id FROM TABLE(«rows_of»(TABLE orders))", "rows_of"),
    ] {
        refused(query, words);
    }
}

#[test]
fn clauses_of_functions() {
    let in_window = |call: &str| {
        format!(
            "SELECT {call} AS x, TUMBLE_END(rowtime, INTERVAL '1' MINUTE) AS e FROM orders GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE)"
        )
    };
    for (call, words) in [
        ("CollectArray(id «ORDER» BY amount)", "array_agg"),
        ("nth_value(id, 2 «ORDER» BY amount)", "ElementAt(array_agg(x ORDER BY y), n)"),
        ("array_agg(id «ORDER» BY amount)[2]", "ElementAt(array_agg(x ORDER BY y), n)"),
        ("CollectArray(«DISTINCT» id)", "DISTINCT is not supported in CollectArray"),
        ("DistinctCount(«DISTINCT» id)", "counts distinct values"),
        ("PercentileAggregator(50, amount «ORDER» BY id)", "does not depend on the order"),
        ("sum(count) «IGNORE» NULLS", "IGNORE NULLS"),
        ("stddev(«DISTINCT» amount)", "DISTINCT"),
        ("corr(«DISTINCT» amount, count)", "DISTINCT"),
    ] {
        refused(&in_window(call), words);
    }
    for (query, words) in [
        ("SELECT upper(«DISTINCT» city) AS c FROM orders", "belongs to an aggregate"),
        ("SELECT upper(city) «FILTER» (WHERE amount > 1) AS c FROM orders", "belongs to an aggregate"),
        ("SELECT upper(city) «WITHIN» GROUP (ORDER BY amount) AS c FROM orders", "belongs to an aggregate"),
        ("SELECT upper(city «ORDER» BY amount) AS c FROM orders", "belongs to an aggregate"),
    ] {
        refused(query, words);
    }
}

#[test]
fn windows_in_wrong_places() {
    for (query, words) in [
        (
            "SELECT id, «window_start» FROM TABLE(HOP(TABLE orders, DESCRIPTOR(rowtime), INTERVAL '1' MINUTE, INTERVAL '2' MINUTE))",
            "GROUP BY window_start, window_end",
        ),
        (
            "SELECT count(1) AS n FROM TABLE(HOP(TABLE orders, DESCRIPTOR(rowtime), INTERVAL '1' MINUTE, INTERVAL '2' MINUTE)) WHERE «window_start» > TIMESTAMP '2020-01-01 00:00:00' GROUP BY window_start, window_end",
            "value only where",
        ),
        (
            "SELECT count(1) AS n FROM TABLE(CUMULATE(TABLE orders, DESCRIPTOR(rowtime), INTERVAL '1' MINUTE, INTERVAL '2' MINUTE)) «GROUP» BY window_start",
            "window_start, window_end",
        ),
        (
            "SELECT count(1) FROM orders GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE), «TUMBLE»(rowtime, INTERVAL '2' MINUTE)",
            "one window",
        ),
        (
            "SELECT count(1) FROM TABLE(«TUMBLE»(TABLE orders, DESCRIPTOR(rowtime), SIZE => INTERVAL '1' MINUTE)) GROUP BY window_start",
            "names",
        ),
        (
            "SELECT count(1) FROM TABLE(«TUMBLE»(DATA => TABLE orders, TIMECOL => DESCRIPTOR(rowtime), SLIDE => INTERVAL '1' MINUTE)) GROUP BY window_start, window_end",
            "no argument SLIDE",
        ),
        (
            "SELECT count(1) FROM TABLE(«HOP»(DATA => TABLE orders, TIMECOL => DESCRIPTOR(rowtime), SIZE => INTERVAL '1' MINUTE, OFFSET => INTERVAL '1' SECOND)) GROUP BY window_start, window_end",
            "lacks the argument SLIDE",
        ),
        (
            "SELECT count(1) FROM TABLE(«TUMBLE»(TABLE orders, rowtime, INTERVAL '1' MINUTE)) GROUP BY window_start, window_end",
            "DESCRIPTOR",
        ),
        ("SELECT count(1) FROM orders GROUP BY TUMBLE(rowtime, INTERVAL «'1.0005'» SECOND)", "1.0005"),
        ("SELECT count(1) FROM orders GROUP BY TUMBLE(rowtime, INTERVAL «'1 -2'» DAY TO HOUR)", "sign"),
        ("SELECT count(1) FROM orders GROUP BY «TUMBLE»(rowtime, INTERVAL '0' SECOND)", "longer than zero"),
    ] {
        refused(query, words);
    }
}

/// Groups of results that one window's closing does not complete.
#[test]
fn groups_over_several_windows_are_refused() {
    let days = format!("SELECT sum(n) AS n, CAST(e AS DATE) AS d FROM ({GROUPED}) «GROUP» BY CAST(e AS DATE)");
    refused(&days, "window");
    let starts = "SELECT sum(n) AS n, s FROM (SELECT count(1) AS n, city, window_start AS s, window_end FROM \
                  TABLE(CUMULATE(TABLE orders, DESCRIPTOR(rowtime), INTERVAL '1' MINUTE, INTERVAL '2' MINUTE)) \
                  GROUP BY window_start, window_end, city) «GROUP» BY s";
    refused(starts, "window");
    let late = "SELECT sum(n) AS n, TUMBLE_END(s, INTERVAL '1' MINUTE) AS e FROM (SELECT count(1) AS n, HOP_START(rowtime, INTERVAL '1' MINUTE, INTERVAL '9' MINUTE) AS s \
                FROM orders GROUP BY HOP(rowtime, INTERVAL '1' MINUTE, INTERVAL '9' MINUTE)) GROUP BY «TUMBLE»(s, INTERVAL '1' MINUTE)";
    refused(late, "rowtime");
}

#[test]
fn names_and_types() {
    for (query, words) in [
        ("SELECT «amont» FROM orders", "amount"),
        ("SELECT id\nFROM «orderz»", "orders"),
        ("SELECT «o.amont» FROM orders AS o", "amount"),
        ("SELECT pickup.«lta» FROM orders", "lat"),
        ("SELECT «GeoHsh»(amount, amount, 3) FROM orders", "geohash"),
        ("SELECT «id» + amount FROM orders WHERE items = 3", ""),
        ("SELECT «S2Id»(city, amount, 3) FROM orders", "S2Id"),
        ("SELECT id FROM orders WHERE amount = 1 AND items «>» 3", ""),
        ("SELECT id FROM orders WHERE amount = «'abc'»", "abc"),
        ("SELECT id FROM orders WHERE count = «'12x'»", "12x"),
        ("SELECT count(1) FROM orders GROUP BY «TUMBLE»(paid, INTERVAL '1' MINUTE)", "rowtime"),
    ] {
        refused(query, words);
    }
}

//! Texts, bytes and Flink's names. Split follows the documentation of Java's `String.split`, the others the
//! examples of Flink's documentation of built-in functions.

use crate::query::{check, check_errors, check_rows};

#[test]
fn split() {
    check(&[
        // The table in the documentation of String.split.
        ("Split('boo:and:foo', ':')", "[boo, and, foo]"),
        ("Split('boo:and:foo', 'o')", "[b, , :and:f]"),
        ("Split('a b', '')", "[a, b]"),
        ("Split('', ',')", "[]"),
        ("cardinality(Split('', ','))", "1"),
        ("Split(',a', ',')", "[, a]"),
        ("Split('a1b22c', '[0-9]+')", "[a, b, c]"),
        ("Split(',,', ',')", "[]"),
        ("Split('abc', 'x*')", "[a, b, c]"),
        ("Split(NULL, ',')", "[]"),
        ("Split('a', NULL)", "[]"),
    ]);
    check_rows(&[
        ("Split(dict, 'p')", ["[al, ha]", "[beta]", "[al, ha]", "[]"]),
        ("Split(view, 'l')", ["[a, pha]", "[beta]", "[a, pha]", "[]"]),
        ("Split('a,b', large)", ["[a,b]", "[a,b]", "[a,b]", "[]"]),
    ]);
    check_errors(&[
        ("Split(s, '(')", &["Split: the regular expression is '('", "without look-around"]),
        ("Split(s, '(?=a)')", &["without look-around"]),
    ]);
}

#[test]
fn bytes() {
    check_rows(&[("ByteToString(bytes)", ["hi", "\u{fffd}!", "", "NULL"])]);
    check(&[("ByteToString('text')", "text"), ("ByteToString(NULL)", "NULL")]);
    check_errors(&[("ByteToString(n)", &["argument 1 (bytes) must be bytes or text"])]);
}

#[test]
fn flink_names() {
    check(&[
        ("REGEXP_EXTRACT('foothebar', 'foo(.*?)(bar)', 2)", "bar"),
        ("REGEXP_EXTRACT('foothebar', 'foo(.*?)(bar)')", "foothebar"),
        ("REGEXP_EXTRACT('foothebar', 'x', 0)", "NULL"),
        ("REGEXP_EXTRACT('foothebar', 'foo', 5)", "NULL"),
        ("REGEXP('service-17', '[0-9]+')", "true"),
        ("SPLIT_INDEX('a,b,c', ',', 1)", "b"),
        ("SPLIT_INDEX('a,b,c', ',', 3)", "NULL"),
        ("SPLIT_INDEX('a,b,c', ',', -1)", "NULL"),
        ("LOCATE('b', 'abcb')", "2"),
        ("LOCATE('b', 'abcb', 3)", "4"),
        ("LOCATE('x', 'abcb')", "0"),
        ("LOCATE('\u{e9}', 'caf\u{e9}')", "4"),
        ("IF(1 > 0, 'yes', 'no')", "yes"),
        ("IF(NULL, 'yes', 'no')", "no"),
        ("IF(1 > 2, 1, 2.5)", "2.5"),
        ("IFNULL(NULL, 5)", "5"),
        ("TRUNCATE(42.345, 2)", "42.34"),
        ("TRUNCATE(-42.9)", "-42.0"),
        ("SIGN(-2.5)", "-1.0"),
        ("MOD(29, 9)", "2"),
        ("CHAR_LENGTH('abc')", "3"),
        ("INITCAP('hello world')", "Hello World"),
        ("CONCAT_WS('-', 'a', 'b')", "a-b"),
        ("LOG10(100.0)", "2.0"),
    ]);
    check_rows(&[("IF(n > 1, 10 / (n - 1), -1)", ["-1", "10", "5", "-1"])]);
    check_errors(&[("IF(n, 1, 2)", &["argument 1 (condition) must be a condition"])]);
}

//! Arrays and maps. The cases with whole arrays are those of Dagger's tests; the rest follows the rules of
//! Java's streams that Dagger passes the arrays to.

use crate::query::{check, check_errors, check_rows};

#[test]
fn array_aggregate() {
    check(&[
        ("ArrayAggregate(make_array(1, 2, 3), 'average', 'Integer')", "2.0"),
        ("ArrayAggregate(make_array(1.3, 2.3, 3.3), 'average', 'double')", "2.3"),
        ("ArrayAggregate(make_array(1, 1, 1, 2, 3), 'distinct.average', 'long')", "2.0"),
        ("ArrayAggregate(make_array('a', 'a', 'b', 'v', 'a'), 'distinct.count', 'other')", "3"),
        ("ArrayAggregate(make_array(3, 1, 2), 'min', 'Int')", "1"),
        ("ArrayAggregate(make_array(3, 1, 2), 'max', 'Bigint')", "3"),
        ("ArrayAggregate(make_array(3, 1, 2), 'sum', 'Int')", "6"),
        ("ArrayAggregate(make_array(3, 1, 2), 'sum', 'Float')", "6.0"),
        ("ArrayAggregate(make_array(3, 1, 2), 'findFirst', 'Int')", "3"),
        ("ArrayAggregate(make_array(3, 1, 2), 'sorted.findFirst', 'Int')", "1"),
        ("ArrayAggregate(make_array('b', 'a'), 'sorted.findFirst', 'Other')", "a"),
        ("ArrayAggregate(make_array('b', 'a', 'c'), 'max', 'Other')", "c"),
        ("ArrayAggregate(make_array('b', 'a', 'c'), 'min', 'Other')", "a"),
        ("ArrayAggregate(make_array(1, NULL, 3), 'count', 'Int')", "2"),
        // Kahan's sum of ten tenths is 1, the plain sum is not.
        ("ArrayAggregate(make_array(0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1), 'sum', 'Double')", "1.0"),
        // Of an empty array Dagger's orElse(0).
        ("ArrayAggregate(ArrayOperate(make_array(NULL), 'distinct', 'Int'), 'average', 'Int')", "0.0"),
        ("ArrayAggregate(ArrayOperate(make_array(NULL), 'distinct', 'Int'), 'sum', 'Int')", "0"),
        ("ArrayAggregate(ArrayOperate(make_array(NULL), 'distinct', 'Int'), 'count', 'Other')", "0"),
        ("ArrayAggregate(NULL, 'sum', 'Int')", "NULL"),
        ("arrow_typeof(ArrayAggregate(make_array(1), 'average', 'Int'))", "Float64"),
        ("arrow_typeof(ArrayAggregate(make_array('a'), 'findFirst', 'Other'))", "Utf8"),
    ]);
    check_rows(&[
        ("ArrayAggregate(make_array(n, n + 1), 'sum', 'Long')", ["3", "5", "7", "0"]),
        ("ArrayAggregate(make_array(dict, s, view), 'distinct.count', 'Other')", ["1", "1", "1", "0"]),
    ]);
    check_errors(&[
        ("ArrayAggregate(make_array('a'), 'distinct.coun', 'other')", &["operation is 'distinct.coun'", "findFirst"]),
        ("ArrayAggregate(make_array('a'), 'count', 'String')", &["type is 'String'", "Other"]),
        ("ArrayAggregate(make_array('a'), 'sum', 'Other')", &["'sum' need a number type"]),
        ("ArrayAggregate(make_array('a'), 'sum', 'Int')", &["an element is not a Int"]),
        ("ArrayAggregate(make_array(1), 'distinct', 'Int')", &["must end in one of average"]),
        ("ArrayAggregate(make_array(1), s, 'Int')", &["operation must be a literal text"]),
        ("ArrayAggregate(n, 'sum', 'Int')", &["argument 1 (array) must be an array"]),
        ("ArrayAggregate(make_array(9223372036854775807, 1), 'sum', 'Long')", &["the sum is 9223372036854775808"]),
    ]);
}

#[test]
fn array_operate() {
    check(&[
        ("ArrayOperate(make_array(3, 1, 3, 2), 'distinct', 'Int')", "[3, 1, 2]"),
        ("ArrayOperate(make_array(3, 1, 3, 2), 'sorted', 'Int')", "[1, 2, 3, 3]"),
        ("ArrayOperate(make_array(3, 1, 3, 2), 'distinct.sorted', 'Int')", "[1, 2, 3]"),
        ("ArrayOperate(make_array('b', 'a', 'b'), 'sort.distinct', 'Other')", "[a, b]"),
        ("ArrayOperate(make_array(1.5, NULL, -1.5), 'sorted', 'Double')", "[-1.5, 1.5]"),
        ("ArrayOperate(NULL, 'sorted', 'Int')", "NULL"),
    ]);
    check_errors(&[("ArrayOperate(make_array(1), 'sum', 'Int')", &["ArrayAggregate takes average"])]);
}

#[test]
fn element_at() {
    let rows = "make_array(named_struct('a', 1, 'b', named_struct('c', 'x')), named_struct('a', 2, 'b', named_struct('c', 'y')))";
    check(&[
        ("ElementAt(make_array('a', 'b', 'c'), 0)", "a"),
        ("ElementAt(make_array('a', 'b', 'c'), -1)", "c"),
        ("ElementAt(make_array('a', 'b', 'c'), -3)", "a"),
        ("ElementAt(make_array('a', 'b', 'c'), 3)", "NULL"),
        ("ElementAt(make_array('a', 'b', 'c'), -4)", "NULL"),
        ("ElementAt(make_array(7, 8), 1)", "8"),
        ("ElementAt(make_array(1.0, 2.5), 0)", "1.0"),
        ("ElementAt(make_array('a', NULL), 1)", "NULL"),
        ("ElementAt(NULL, 1)", "NULL"),
        ("ElementAt(make_array('a'), NULL)", "NULL"),
        ("ElementAt(make_array('a'), -9223372036854775808)", "NULL"),
        (&format!("ElementAt({rows}, 'orders', 0, 'a')"), "1"),
        (&format!("ElementAt({rows}, 'orders', -1, 'b.c')"), "y"),
        (&format!("ElementAt({rows}, 'orders', 1, 'b.c', 'data_stream')"), "y"),
        (&format!("ElementAt({rows}, 'orders', 2, 'b.c')"), "NULL"),
        ("arrow_typeof(ElementAt(make_array(7, 8), 1))", "Utf8"),
    ]);
    check_rows(&[("ElementAt(make_array(s, 'z'), n - 1)", ["alpha", "z", "NULL", "NULL"])]);
    check_errors(&[
        (&format!("ElementAt({rows}, 'orders', 0, 'd')"), &["there is no field 'd'", "there are a, b"]),
        (&format!("ElementAt({rows}, 'orders', 0, 'a.b')"), &["which has no fields"]),
        (&format!("ElementAt({rows}, 'orders', 0, 'b')"), &["name a field within it"]),
        (&format!("ElementAt({rows}, 0)"), &["name a field of them"]),
        ("ElementAt(make_array(1), 'x')", &["argument 2 (index) must be a whole number"]),
        ("ElementAt(make_array(1), 'x', 1)", &["2, 4 or 5 arguments"]),
    ]);
}

#[test]
fn map_get_and_list_contains() {
    let pairs = "make_array(named_struct('key', 'a', 'value', 1), named_struct('key', 'b', 'value', 2), named_struct('key', 'a', 'value', 3))";
    check(&[
        ("MapGet(MAP {'a': 1, 'b': 2}, 'b')", "2"),
        ("MapGet(MAP {'a': 1, 'b': 2}, 'c')", "NULL"),
        ("MapGet(MAP {1: 'x', 2: 'y'}, 2)", "y"),
        ("MapGet(MAP {1: 'x', 2: 'y'}, 'no number')", "NULL"),
        (&format!("MapGet({pairs}, 'a')"), "1"),
        (&format!("MapGet({pairs}, NULL)"), "NULL"),
        ("MapGet(NULL, 'a')", "NULL"),
        ("ListContains(make_array('a', 'b'), 'b')", "true"),
        ("ListContains(make_array('a', 'b'), 'c')", "false"),
        ("ListContains(make_array(1, 2), 2)", "true"),
        ("ListContains(NULL, 'c')", "false"),
        ("ListContains(make_array('a'), NULL)", "NULL"),
        ("ListContains(make_array('a', NULL), 'b')", "false"),
    ]);
    check_rows(&[
        ("MapGet(MAP {'alpha': 1, 'beta': 2}, dict)", ["1", "2", "1", "NULL"]),
        ("MapGet(make_array(named_struct('key', s, 'value', n)), view)", ["1", "2", "3", "NULL"]),
        ("ListContains(make_array('alpha', 'x'), large)", ["true", "false", "true", "NULL"]),
        ("ListContains(make_array(s, 'x'), 'beta')", ["false", "true", "false", "false"]),
        ("ListContains(make_array(s, 'x'), dict)", ["true", "true", "true", "NULL"]),
    ]);
    check_errors(&[
        ("MapGet(n, 1)", &["argument 1 (map) must be a map or an array of ROW(key, value)"]),
        ("ListContains(s, 'a')", &["argument 1 (list) must be an array"]),
    ]);
}

#[test]
fn conditions() {
    check(&[("CondEq('customer.id', 7)", "{field: customer.id, equals: 7}")]);
}

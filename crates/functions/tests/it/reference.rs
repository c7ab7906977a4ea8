//! The reference of functions: complete, and its examples run.

use std::collections::BTreeSet;

use functions::{FunctionKind, docs};

use crate::query::run;

#[test]
fn every_function_is_documented_and_lower_case() {
    let documented: BTreeSet<String> = docs().iter().map(|doc| doc.name.to_ascii_lowercase()).collect();
    assert_eq!(documented.len(), docs().len(), "a name is documented twice");
    let scalars = functions::scalar_functions().into_iter().map(|function| function.name().to_owned());
    let aggregates = functions::aggregate_functions().into_iter().map(|function| function.name().to_owned());
    let rows = functions::table_functions().into_iter().map(|function| function.function.name().to_owned());
    let names: BTreeSet<String> = scalars.chain(aggregates).chain(rows).collect();
    assert_eq!(names, documented);
}

#[test]
fn examples_run() {
    for doc in docs() {
        match doc.kind {
            FunctionKind::Scalar => {
                let result = run(&format!("SELECT {}", doc.example));
                assert!(result.is_ok(), "{}: {result:?}", doc.example);
            }
            // Examples of aggregates name columns of the reader's own table.
            FunctionKind::Aggregate | FunctionKind::Table => {
                assert!(doc.example.to_lowercase().contains(&doc.name.to_lowercase()), "{}", doc.example);
            }
        }
        assert!(doc.signature.contains("->") && doc.signature.starts_with(doc.name), "{}", doc.signature);
        assert!(doc.description.ends_with('.'), "{}", doc.description);
    }
}

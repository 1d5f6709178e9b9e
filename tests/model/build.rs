//! Makes a module per mutation: the lock's source files with one edit each.
//!
//! The edits are textual, so that the source that ships knows nothing of mutants. One whose text
//! no longer occurs exactly once fails the build.

#[path = "mutations.rs"]
mod mutations;

use mutations::{MUTATIONS, Mutation};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

const FILES: [&str; 4] = ["party", "recovery", "waiter", "word"];

fn main() {
    let package = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let sync = package.join("../dsu-runtime/src/sync");
    println!(
        "cargo::rerun-if-changed={}",
        package.join("model").display()
    );
    for file in FILES {
        println!(
            "cargo::rerun-if-changed={}",
            sync.join(file).with_extension("rs").display()
        );
    }
    let mut modules = String::new();
    for mutation in MUTATIONS {
        write_module(&mut modules, &sync, mutation);
    }
    modules.push_str("macro_rules! for_each_mutant { ($run:ident) => {\n");
    for mutation in MUTATIONS {
        writeln!(modules, "$run!({});", mutation.name).expect("a string takes all");
    }
    modules.push_str("} }\n");
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it")).join("mutants.rs");
    fs::write(out, modules).expect("cannot write the mutants");
}

fn write_module(modules: &mut String, sync: &Path, mutation: &Mutation) {
    writeln!(modules, "pub mod {} {{ use crate::platform;", mutation.name).expect("never fails");
    let mut edits = 0;
    for file in FILES {
        let source = fs::read_to_string(sync.join(file).with_extension("rs"))
            .unwrap_or_else(|error| panic!("cannot read the lock's {file}.rs: {error}"));
        // Inner doc comments may not stand inside an included module.
        let source: Vec<&str> = source
            .lines()
            .filter(|line| !line.starts_with("//!"))
            .collect();
        let mut source = source.join("\n");
        if file == mutation.file {
            edits = source.matches(mutation.original).count();
            source = source.replace(mutation.original, mutation.mutated);
        }
        writeln!(modules, "pub mod {file} {{\n{source}\n}}").expect("a string takes all");
    }
    assert_eq!(
        edits, 1,
        "mutation {}: its text must occur once",
        mutation.name
    );
    modules.push_str("}\n");
}

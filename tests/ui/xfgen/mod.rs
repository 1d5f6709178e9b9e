//! A program around what `dsu xfgen` writes for two versions between which nothing has to be asked (R35).

mod v1;
mod v2;

use dsu_runtime::abi::TypeSchema;
use dsu_runtime::heap::Shared;
use dsu_runtime::ids::VersionId;
use dsu_runtime::version::{self, CarryManifest, Manifest, TypeManifest, TypePath};
use dsu_runtime::worker::Carried;
use std::fs;
use std::path::{Path, PathBuf};

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/ui/xfgen");

/// What runs once it compiles: every frozen type is what version 1 states.
const ASSERTIONS: &str = r#"
fn main() {
    use dsu_runtime::heap::Shared;
    use dsu_runtime::worker::Carried;
    assert_eq!(from_v1::Entry::schema(), v1::Entry::schema());
    assert_eq!(from_v1::Point::schema(), v1::Point::schema());
    assert_eq!(from_v1::PairU64::schema(), v1::Pair::<u64>::schema());
    assert_eq!(from_v1::Value::schema(), v1::Value::schema());
    assert_eq!(from_v1::Local::schema(), v1::Local::schema());
    assert_eq!(from_v1::Timer::schema(), v1::Timer::schema());
}
"#;

/// Writes the program below `folder`.
pub fn write_program(folder: &Path) -> PathBuf {
    let old = manifest(
        1,
        vec![
            v1::Entry::schema(),
            v1::Peer::schema(),
            v1::Remark::schema(),
            v1::Value::schema(),
        ],
        v1::Local::schema(),
        v1::Pair::<u64>::schema(),
    );
    let new = manifest(
        2,
        vec![
            v2::Entry::schema(),
            v2::Peer::schema(),
            v2::Comment::schema(),
            v2::Value::schema(),
        ],
        v2::Local::schema(),
        v2::Pair::<u64>::schema(),
    );
    let program = folder.join("xfgen_output.rs");
    fs::create_dir_all(folder).expect("the folder for temporary files is writable");
    fs::write(folder.join("from_v1.rs"), version::xfgen(&old, &new)).expect("as above");
    let source = format!(
        "#![forbid(unsafe_code)]\n#[path = \"{SOURCES}/v1.rs\"]\nmod v1;\n#[path = \"{SOURCES}/v2.rs\"]\nmod v2;\n\
         #[path = \"{}/from_v1.rs\"]\nmod from_v1;\n\
         use v2::{{Point, Timer}};\n{ASSERTIONS}",
        folder.display()
    );
    fs::write(&program, source).expect("as above");
    program
}

/// As the library would state it, in a crate that has its types in `v2`.
fn manifest(number: u32, types: Vec<TypeSchema>, carry: TypeSchema, pair: TypeSchema) -> Manifest {
    let version = VersionId(number);
    Manifest {
        app: "generated".to_owned(),
        version,
        from: None,
        build_id: String::new(),
        rustc: String::new(),
        guards: Vec::new(),
        types: types
            .into_iter()
            .map(|schema| TypeManifest {
                version,
                path: format!("crate::v2::{}", schema.name),
                schema,
            })
            .collect(),
        frozen: Vec::new(),
        lenses: Vec::new(),
        keys: Vec::new(),
        functions: Vec::new(),
        removed: Vec::new(),
        update_points: Vec::new(),
        carry: CarryManifest {
            worker: "serve".to_owned(),
            path: format!("crate::v2::{}", carry.name),
            schema: carry,
        },
        carry_lenses: Vec::new(),
        statics: Default::default(),
        paths: vec![TypePath {
            digest: version::digest(&pair),
            name: pair.name,
            path: "crate::v2::Pair<u64>".to_owned(),
        }],
    }
}

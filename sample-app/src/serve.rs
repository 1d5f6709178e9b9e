//! Serves until it is told to end, and says how to update it by signal.

use sample_app::libraries;
use sample_app::server::{Folder, point};
use std::ffi::OsString;
use std::process::ExitCode;

/// Becomes the supervisor of a server that runs from a link to version 1, with these arguments of its own.
///
/// # Errors
/// One sentence: the library or the folder cannot be had.
pub fn serve(port: u16, workers: u32, arguments: Vec<OsString>) -> Result<ExitCode, String> {
    let folder = Folder::new()?;
    let first = libraries::kv(1)?;
    point(&folder.link(), &first)?;
    println!("link {}", folder.link().display());
    println!("pid {}", std::process::id());
    if let Ok(next) = libraries::kv(2) {
        println!(
            "to update: ln -sfn {} {} && kill -USR2 {}",
            next.display(),
            folder.link().display(),
            std::process::id()
        );
    }
    let mut line: Vec<OsString> = vec![
        "dsu".into(),
        "run".into(),
        folder.link().into(),
        "--control".into(),
        folder.control().into(),
        "--workers".into(),
        workers.to_string().into(),
        "--listen".into(),
        format!("127.0.0.1:{port}").into(),
    ];
    line.push("--".into());
    line.extend(arguments);
    Ok(dsu_runtime::cli::main(line))
}

//! The operator's command line. Data on stdout, progress on stderr; the first word of an answer decides.
//!
//! Speaks to a supervisor through its control socket, or becomes one (`dsu run`). Knows no more of a
//! server than the socket's answers.

mod arguments;
mod client;
mod comparison;
mod libraries;
mod print;

use arguments::{Arguments, Command};
use clap::Parser;
use print::{Printer, unreachable};
use std::ffi::OsString;
use std::process::ExitCode;

/// Exit code of bad usage.
const USAGE: u8 = 64;

/// Runs one `dsu` command line, the program's name first.
///
/// Blocks until the command is done; `dsu run` until the server ends. Exits: 0 accepted, 1 refused,
/// 2 rolled back, 3 no supervisor, 64 bad usage.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            // --help and --version come this way too.
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    let printer = Printer::new(arguments.json);
    let control = arguments.control_path();
    let request = match arguments.command {
        Command::Run(run) => return libraries::run(&printer, run, control),
        Command::Check(check) => return libraries::check(&printer, &check),
        Command::Xfgen(xfgen) => return libraries::xfgen(&printer, &xfgen),
        Command::History => return print::history(&printer, &control),
        asking => match asking.into_request() {
            Ok(request) => request,
            Err(why) => return printer.refused(&why),
        },
    };
    match client::ask(&control, &request, &printer) {
        Ok((verdict, text, data)) => printer.answer(verdict, &text, &data),
        Err(why) => unreachable(&printer, &why),
    }
}

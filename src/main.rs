//! The one binary: hub, client, importer.

use std::process::ExitCode;

fn main() -> ExitCode {
    inbetweenies::commands::main()
}

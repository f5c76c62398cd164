//! What the `airlock` command does: guard a server, check a policy, sign and verify receipts.
//!
//! A library so that the repository's own tests and tools start gateways the way people do.

/// The command line.
pub mod arguments;
pub mod bootstrap;
/// Lines about calls.
pub mod calls;
/// The configuration of the whole chain, assembled from files.
pub mod configuration;
/// Output for people and for programs.
pub mod console;
/// `airlock dev`.
pub mod dev;
/// YAML that knows where its values stand.
pub mod document;
/// Envoy as a child process.
pub mod envoy;
/// How commands end and what they say.
pub mod failure;
/// Signals that end a command.
pub mod interrupt;
/// `airlock policy`.
pub mod policy;
pub mod providers;
/// `airlock receipts`.
pub mod receipts;
/// `airlock signer`.
pub mod signer;
/// Keys and receipts on disk.
pub mod state;
/// `airlock up`.
pub mod up;
/// `airlock verify`.
pub mod verify;

use std::{ffi::OsString, process::ExitCode};

use crate::{
    arguments::{Arguments, Command, Format},
    console::Console,
    failure::{Exit, Failure},
};

/// Runs a command line and returns how the process ends.
pub fn run(arguments: &Arguments) -> ExitCode {
    let console = Console::new(arguments.format);
    let outcome = match &arguments.command {
        Command::Up(arguments) => block_on(up::up(arguments, console)),
        Command::Signer(arguments) => block_on(signer::serve(arguments, console)),
        Command::Policy(command) => policy::run(command, console),
        Command::Verify(arguments) => verify::run(arguments, console),
        Command::Receipts(command) => receipts::run(command, console),
        Command::Dev(command) => dev::run(command, console),
    };
    let exit = outcome.unwrap_or_else(|failure| {
        console.fail(&failure);
        failure.exit
    });
    ExitCode::from(exit as u8)
}

/// Prints what clap says about a command line that it could not read, or the help that was asked for.
///
/// A program that asks for JSON gets JSON, even where its command line is wrong.
pub fn usage(error: &clap::Error, arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let code = u8::try_from(error.exit_code()).unwrap_or(Exit::Usage as u8);
    if code == 0 || !asks_for_json(arguments) {
        // A terminal that has gone away needs no help any more.
        let _ = error.print();
        return ExitCode::from(code);
    }
    let text = error.to_string();
    let (message, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut failure = Failure::new(Exit::Usage, message.strip_prefix("error: ").unwrap_or(message).trim());
    let mut lines = rest.lines().map(str::trim).filter(|line| !line.is_empty());
    let usage = lines.clone().find(|line| line.starts_with("Usage: "));
    if let Some(remedy) = usage.or_else(|| lines.next_back()) {
        failure = failure.remedy(remedy);
    }
    Console::new(Format::Json).fail(&failure);
    ExitCode::from(code)
}

fn asks_for_json(arguments: impl Iterator<Item = OsString>) -> bool {
    let arguments: Vec<OsString> = arguments.take_while(|argument| argument != "--").collect();
    arguments.iter().any(|argument| argument == "--format=json")
        || arguments
            .windows(2)
            .any(|pair| matches!(pair, [name, value] if name == "--format" && value == "json"))
}

fn block_on(work: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Unavailable, format!("cannot start threads: {error}")))?
        .block_on(work)
}

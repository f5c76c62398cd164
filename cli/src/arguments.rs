use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum, builder::NonEmptyStringValueParser};

/// Safe Model Context Protocol traffic through Envoy.
#[derive(Debug, Parser)]
#[command(name = "airlock", version, max_term_width = 100)]
pub struct Arguments {
    /// How results and errors are printed.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// How results and errors are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs: one JSON document a line.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Guard an MCP server: start Envoy with Airlock in front of it, and the signer beside it.
    Up(Up),
    /// Run the signer, which turns records of calls into signed receipts.
    Signer(Signer),
    /// Work with policies.
    #[command(subcommand)]
    Policy(Policy),
    /// Check receipts offline: signatures and hash chains, with nothing but the public keys.
    Verify(Verify),
    /// Work with stored receipts.
    #[command(subcommand)]
    Receipts(Receipts),
    /// For local use: a development issuer of access tokens.
    #[command(subcommand)]
    Dev(Dev),
}

/// Arguments of `airlock up`.
#[derive(Args, Debug)]
pub struct Up {
    /// URL of the MCP server.
    #[arg(long, value_name = "URL")]
    pub upstream: String,
    /// Policy document; changes to the file take effect at once. Without it tools can be listed and not called.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Whose tokens are accepted (configuration of the token-validator). Without it: those of `airlock dev token`.
    #[arg(long, value_name = "FILE")]
    pub identity: Option<PathBuf>,
    /// What is redacted (configuration of the pii-redactor). Without it: e-mail addresses and card numbers.
    #[arg(long, value_name = "FILE")]
    pub redaction: Option<PathBuf>,
    /// Where clients connect; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8787")]
    pub listen: SocketAddr,
    /// Record and report what would be denied, deny nothing but what is malformed, and ask for no tokens.
    #[arg(long)]
    pub observe: bool,
    /// Worker threads of Envoy.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    pub concurrency: u16,
    /// The Envoy binary; by default `envoy` beside this program or on the path.
    #[arg(long, value_name = "FILE", env = "AIRLOCK_ENVOY", hide_env_values = true)]
    pub envoy: Option<PathBuf>,
    /// The wasm module; by default `airlock.wasm` beside this program.
    #[arg(long, value_name = "FILE", env = "AIRLOCK_MODULE", hide_env_values = true)]
    pub module: Option<PathBuf>,
    /// Where keys and receipts are kept.
    #[command(flatten)]
    pub state: StateDirectory,
}

/// Where keys and receipts are kept.
#[derive(Args, Clone, Debug)]
pub struct StateDirectory {
    /// Directory of keys and receipts; by default `airlock` in the user's state directory.
    #[arg(long = "state", value_name = "DIR", env = "AIRLOCK_STATE", hide_env_values = true)]
    pub directory: Option<PathBuf>,
}

/// Arguments of `airlock signer`.
#[derive(Args, Debug)]
pub struct Signer {
    /// Where gateways and readers connect; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8788")]
    pub listen: SocketAddr,
    /// File with the bearer token that gateways must send; without it any client may append records.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Where keys and receipts are kept.
    #[command(flatten)]
    pub state: StateDirectory,
}

/// Subcommands of `airlock policy`.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Check a policy document and point out what is probably not meant.
    Lint {
        /// The document, YAML or JSON.
        file: PathBuf,
    },
}

/// Arguments of `airlock verify`.
#[derive(Args, Debug)]
pub struct Verify {
    /// A bundle of receipts (one envelope a line) or the signer's database.
    pub file: PathBuf,
    /// Public keys of the signer, a JWK set; by default `<FILE>.keys.json`.
    #[arg(long, value_name = "FILE")]
    pub keys: Option<PathBuf>,
}

/// Subcommands of `airlock receipts`.
#[derive(Debug, Subcommand)]
pub enum Receipts {
    /// Write all receipts of a signer's database as a bundle, and the public keys beside it.
    Export {
        /// The bundle to write; the keys go to `<FILE>.keys.json`.
        file: PathBuf,
        /// Where keys and receipts are kept.
        #[command(flatten)]
        state: StateDirectory,
    },
}

/// Subcommands of `airlock dev`.
#[derive(Debug, Subcommand)]
pub enum Dev {
    /// Print an access token of the development issuer, which `airlock up` trusts unless told otherwise.
    Token {
        /// Who calls.
        #[arg(long, default_value = "developer@example.com", value_parser = NonEmptyStringValueParser::new())]
        subject: String,
        /// What the caller may do; may be given several times or separated by spaces.
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        /// The program that calls.
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        client: Option<String>,
        /// How long the token is valid, minutes.
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=1440))]
        minutes: u64,
        /// Where keys and receipts are kept.
        #[command(flatten)]
        state: StateDirectory,
    },
}

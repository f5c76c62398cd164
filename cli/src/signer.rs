use airlock_signer::{BearerToken, Settings, State as Running, Store, load_or_create_key};
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    arguments::Signer,
    console::Console,
    failure::{Exit, Failure},
    interrupt::interrupted,
    state::{State, unusable_key},
};

/// Opens the signer of a state directory. Gateways must send `token`, if there is one.
///
/// # Errors
/// A [`Failure`] if the key or the database cannot be used.
pub fn open(state: &State, token: Option<String>) -> Result<Running, Failure> {
    let unavailable = |error: String| Failure::new(Exit::Unavailable, error);
    let key = load_or_create_key(&state.signing_key()).map_err(|error| unusable_key(&error))?;
    let store = Store::open(&state.receipts()).map_err(|error| unavailable(error.to_string()))?;
    let bearer_token = token
        .map(|token| {
            BearerToken::new(&token).map_err(|error| Failure::new(Exit::BadInput, error.to_string()))
        })
        .transpose()?;
    let settings = Settings { bearer_token, ..Settings::default() };
    Running::start(store, key, settings).map_err(|error| unavailable(error.to_string()))
}

/// `airlock signer`: serves until it is interrupted.
///
/// # Errors
/// A [`Failure`] if the signer cannot be opened or cannot listen.
pub async fn serve(arguments: &Signer, console: Console) -> Result<Exit, Failure> {
    let interrupted = interrupted();
    let state = State::open(&arguments.state)?;
    let token = match &arguments.token_file {
        Some(file) => {
            let text = std::fs::read_to_string(file).map_err(|error| Failure::file("read", file, &error))?;
            Some(text.trim().to_owned())
        }
        None => None,
    };
    let running = open(&state, token)?;
    let cannot_listen = |error: std::io::Error| {
        Failure::new(Exit::Unavailable, format!("cannot listen on `{}`: {error}", arguments.listen))
    };
    let listener = TcpListener::bind(arguments.listen).await.map_err(cannot_listen)?;
    let address = listener.local_addr().map_err(cannot_listen)?;
    let text = format!("signing    http://{address}/v1/receipts\nreceipts   {}", state.receipts().display());
    console.print(
        &text,
        &json!({
            "listening": {
                "url": format!("http://{address}"),
                "receipts": state.receipts().to_string_lossy(),
            }
        }),
    );
    airlock_signer::serve(listener, running, interrupted)
        .await
        .map_err(|error| Failure::new(Exit::Failed, format!("the signer ended: {error}")))?;
    Ok(Exit::Success)
}

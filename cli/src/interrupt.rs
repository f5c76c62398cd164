use tokio::signal::unix::{SignalKind, signal};

/// Resolves when someone wants this program to end: Ctrl-C, a service manager, a closed terminal.
///
/// From the call on, not only from the first poll, those signals do not end the program by themselves: what it has
/// started would be left behind. To be called within a runtime.
pub fn interrupted() -> impl Future<Output = ()> + Send + 'static {
    let signals =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()));
    async move {
        let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = signals else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

//! Sessions of the handshake era.

pub(crate) type Sessions = rmcp::transport::streamable_http_server::session::local::LocalSessionManager;

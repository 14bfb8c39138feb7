//! How connections begin that are more than a socket: TLS, certificates, headers of a proxy.
//!
//! Every test makes its own certificates and starts its own broker. What an operator is told of what
//! goes wrong is part of what is tested.

mod clients;
mod external;
mod handshakes;
mod oauth;
mod proxied;
mod refused_starts;
mod reload;
mod rig;
mod scan;

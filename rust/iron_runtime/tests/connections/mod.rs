//! How connections come about: certificates, HTTP/2, and the proxies of the environment.
//!
//! What a client trusts and which proxy it uses it learns from the environment of its process, so the calls are made in
//! processes of their own.

mod child;
mod http2;
mod proxies;
mod proxy;
mod server;
mod tls;

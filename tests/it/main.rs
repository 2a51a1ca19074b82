//! The whole server from outside: one binary, modules by noun. Tests that need outside programs are ignored here and
//! run by `tests/run`.

mod demo;
mod http;
mod server;
mod stream;

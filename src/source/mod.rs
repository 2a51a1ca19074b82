//! source

pub mod timeline;

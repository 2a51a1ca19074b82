//! All kinds of keys: the vectors of `vectors/`, which an independent script made, and properties.

mod documented;
mod properties;
mod settings;
mod vectors;

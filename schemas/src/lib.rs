//! The contract between the halves of Argus.
//!
//! `argus-capture` writes what is described here, `argus-analyze` reads it, and nothing else is shared between
//! them. This crate knows names, shapes and meanings; it depends on neither Parquet writers nor polars, because the
//! two halves use different ones. Its readers of foreign agent logs ([`import`]) take bytes and give values.

pub mod case;
pub mod events;
pub mod import;
pub mod imports;
pub mod json;
pub mod lines;
pub mod manifest;
pub mod report;
pub mod signature;
pub mod span_log;
pub mod spans;
pub mod verdicts;

pub use case::CaseLayout;
pub use manifest::Manifest;

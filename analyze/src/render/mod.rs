//! From the report to what people read. Nothing from the workload reaches a page or a terminal but through [`safe`].

pub mod baseline;
pub mod csv;
pub mod html;
pub mod markdown;
pub mod safe;
pub mod text;
pub mod time;
pub mod tree;
mod words;

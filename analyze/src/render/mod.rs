//! From the report to what people read. Nothing from the workload reaches a page or a terminal but through [`safe`].

pub mod baseline;
mod bounds;
mod columns;
pub mod csv;
pub mod explain;
pub mod html;
mod index;
mod json;
pub mod markdown;
mod prose;
pub mod safe;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod text;
pub mod time;
pub mod tree;
mod words;

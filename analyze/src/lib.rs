//! `argus-analyze`: rebuilds what an agent's calls did from a case, offline. The modules are the pipeline's stages.

pub mod attribute;
pub mod baseline;
pub mod cli;
pub mod commands;
pub mod effects;
pub mod error;
pub mod explain;
pub mod forest;
pub mod import;
pub mod judge;
pub mod links;
pub mod load;
pub mod names;
pub mod pipeline;
pub mod policy;
pub mod render;
pub mod told;
pub mod verify;

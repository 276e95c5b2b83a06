//! `import`: adds an agent's log that was recorded elsewhere to a case.

use super::{Status, emit, json, with_progress};
use crate::error::Result;
use crate::import::{Added, import};
use crate::render::safe;
use argus_schemas::import::Format;
use clap::Args;
use clap::builder::PossibleValuesParser;
use std::path::PathBuf;

/// `import`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  argus-analyze import incident.argus ~/.claude/projects/*/SESSION.jsonl\n\n\
                        The logs are copied into the case, and read whenever it is analysed; what the capture wrote \
                        stays as it is.")]
pub struct Arguments {
    /// The case folder.
    #[arg(value_name = "CASE")]
    case: PathBuf,
    /// The logs: OTLP's JSON lines, Claude Code transcripts (of subagents too), Codex rollouts, Gemini sessions, exports
    /// of the OpenAI Agents SDK and of LangSmith, Argus's own span log.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The format of all of them; otherwise it is told by how each begins.
    #[arg(long, value_name = "FORMAT", value_parser = PossibleValuesParser::new(Format::ALL.map(Format::as_str)))]
    format: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn text(added: &[Added]) -> String {
    let mut text = String::new();
    for one in added {
        let name = safe::terminal(&one.file);
        if one.again {
            text.push_str(&format!("{name}: it is in the case already\n"));
            continue;
        }
        text.push_str(&format!(
            "{name}: {}, {} calls, {} of them within the capture",
            one.format, one.calls, one.within
        ));
        if one.not_understood > 0 {
            text.push_str(&format!("; {} parts were not understood, which the report lists", one.not_understood));
        }
        text.push('\n');
        if one.calls > 0 && one.within == 0 {
            text.push_str("  None of them ran while the case was recorded: is it the log of this run?\n");
        }
    }
    text
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status> {
    let format = arguments.format.as_deref().and_then(Format::from_text);
    let added = with_progress("importing", || import(&arguments.case, &arguments.files, format))?;
    emit(&if arguments.json { json(&added) } else { text(&added) }, None)?;
    Ok(Status::Fine)
}

//! An explanation ends in the verdict of the table, for every event of every sample.

use super::*;
use crate::pipeline;
use std::path::{Path, PathBuf};

fn samples() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sample-traces");
    let folders = std::fs::read_dir(root).expect("there are samples").map(|entry| entry.expect("an entry").path());
    let inner = folders.filter(|folder| folder.is_dir()).flat_map(|folder| {
        std::fs::read_dir(folder).expect("it can be read").map(|entry| entry.expect("an entry").path())
    });
    let mut cases: Vec<PathBuf> =
        inner.filter(|path| path.extension().is_some_and(|ending| ending == "argus")).collect();
    cases.sort();
    assert!(cases.len() > 3, "{cases:?}");
    cases
}

#[test]
fn every_explanation_ends_in_the_verdict_of_the_table() {
    for case in samples() {
        pipeline::examine(&case, |examined| {
            let verdicts = &examined.attribution.verdicts;
            let texts = |name: &str| verdicts.column(name).expect("a column").str().expect("text").clone();
            let (owner, basis, verdict, reason) = (texts("owner"), texts("basis"), texts("verdict"), texts("reason"));
            let late = verdicts.column("late").expect("a column").bool().expect("truth values").clone();
            let ids = verdicts.column("event_id").expect("a column").u64().expect("numbers").clone();
            let candidates = verdicts.column("candidates").expect("a column").list().expect("lists").clone();
            let mut events = event::read(examined.events, None, 0).expect("the events can be read");
            events.sort_by_key(|event| event.event_id);
            assert_eq!(events.len(), ids.len());
            let explainer = Explainer::new(examined);
            for (row, event) in events.into_iter().enumerate() {
                let at = format!("{}, event {}", case.display(), event.event_id);
                let told = explainer.explain(event);
                let ruling = &told.ruling;
                assert_eq!(ids.get(row), Some(told.event.event_id), "{at}");
                assert_eq!(owner.get(row), ruling.owner.as_deref(), "{at}");
                assert_eq!(basis.get(row), ruling.basis.map(Basis::as_str), "{at}");
                assert_eq!(verdict.get(row), Some(ruling.verdict.as_str()), "{at}");
                assert_eq!(reason.get(row), ruling.reason.as_deref(), "{at}");
                assert_eq!(late.get(row), Some(told.late), "{at}");
                let listed = candidates.get_as_series(row).expect("a list");
                let listed: Vec<&str> = listed.str().expect("text").iter().flatten().collect();
                assert_eq!(listed, ruling.candidates, "{at}");
                assert!(!told.decided.is_empty(), "{at} is explained by nothing");
                assert!(ruling.basis.is_none() || told.owner.is_some(), "{at}");
            }
        })
        .expect("the sample can be analysed");
    }
}

#[test]
fn an_unknown_event_is_told_which_there_are() {
    let case = samples().remove(0);
    let (_, error) = pipeline::examine(&case, |examined| explain(u64::MAX, examined)).expect("it can be analysed");
    let Err(Error::NoSuchEvent { event, known }) = error else { panic!("{error:?}") };
    assert_eq!(event, u64::MAX);
    assert!(known.starts_with("its events are numbered from "), "{known}");
}

//! The HTML report in a real browser: it shows the finding, and asks nothing of the network.

use argus_tests::{Scratch, analyze, on_path, report, run, sample_cases, shown, skip};
use std::ffi::OsStr;
use std::process::Command;

#[test]
fn chromium_shows_the_finding() {
    let Some(chromium) = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| on_path(name))
    else {
        return skip("the report in a browser", "chromium is not installed");
    };
    let cases = sample_cases();
    let case = cases.iter().find(|case| case.to_string_lossy().contains("poisoned-config")).expect("the sample");
    let scratch = Scratch::new("browser");
    let page = scratch.join("report.html");
    let output = analyze(&[OsStr::new("report"), case.as_os_str(), OsStr::new("-o"), page.as_os_str()]);
    assert!(output.status.success(), "{}", shown(&output));

    let html = std::fs::read_to_string(&page).expect("the page was written");
    for reference in ["src=\"http", "href=\"http", "url(http", "@import"] {
        assert!(!html.contains(reference), "the page is self-contained, but holds {reference}");
    }

    let browse = |arguments: &[&str]| {
        let mut command = Command::new(chromium);
        command.args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--window-size=1280,1600",
        ]);
        command.arg(format!("--user-data-dir={}", scratch.join("profile").display())).args(arguments);
        run(command.arg(format!("file://{}", page.display())))
    };
    let shot = scratch.join("report.png");
    let output = browse(&[&format!("--screenshot={}", shot.display())]);
    let bytes = std::fs::metadata(&shot).map_or(0, |file| file.len());
    assert!(bytes > 10_000, "a picture of {bytes} bytes: {}", shown(&output));

    let output = browse(&["--dump-dom"]);
    let dom = String::from_utf8_lossy(&output.stdout);
    let finding = report(case).findings.into_iter().next().expect("the sample has a finding");
    let object = finding.title.split_whitespace().find(|word| word.contains("203.0.113.")).expect("the address");
    let object = object.trim_matches(|c: char| !c.is_ascii_digit());
    assert!(dom.contains(object), "the page names {object}: {}", shown(&output));
    let name = finding.span_name.expect("the finding names its call");
    assert!(dom.contains(&name), "the page names {name}");
}

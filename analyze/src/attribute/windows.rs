//! When spans were open: what they tell of their instants, and how far that is certain.

use argus_schemas::import::Format;
use argus_schemas::span_log::{ABANDONED, HOOK};
use argus_schemas::spans::Span;

/// When a span was open, as far as is believed. CLOCK_BOOTTIME nanoseconds, all inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// From here on it may have been.
    pub from_ns: u64,
    /// From here on it was.
    pub certain_from_ns: u64,
    /// Until here it was; `None`: it never ended.
    pub certain_to_ns: Option<u64>,
    /// Until here it may have been.
    pub to_ns: Option<u64>,
}

impl Window {
    /// As the span tells it, and by what stands against that.
    pub fn of(span: &Span) -> Window {
        let (start, error) = (span.start_boot_ns, span.start_err_ns);
        let mut window = Window {
            from_ns: start.saturating_sub(error),
            certain_from_ns: start.saturating_add(error),
            certain_to_ns: span.end_boot_ns.map(|end| end.saturating_sub(span.end_err_ns)),
            to_ns: span.end_boot_ns.map(|end| end.saturating_add(span.end_err_ns)),
        };
        if span.source == HOOK {
            if may_never_have_run(span) {
                window.never_certain();
            } else {
                // From one hook to the other the agent was at nothing but this call, or waited for leave to make it.
                (window.certain_from_ns, window.certain_to_ns) = (window.from_ns, window.to_ns);
            }
            return window;
        }
        // A log that was added afterwards may have been cut off, or lack what could not be read.
        if span.end_boot_ns.is_none() && span.received_boot_ns.is_none() && Format::from_text(&span.source).is_some() {
            window.certain_to_ns = Some(window.certain_from_ns);
        }
        // However far off the author's clock is, what it told had happened by the time that it was received.
        if let Some(received) = span.received_boot_ns.filter(|received| *received >= window.from_ns) {
            window.certain_from_ns = window.certain_from_ns.min(received);
        }
        if let Some(received) = span.end_received_boot_ns.filter(|received| *received >= window.from_ns) {
            window.to_ns = window.to_ns.map(|to| to.min(received));
            window.certain_to_ns = window.certain_to_ns.map(|to| to.min(received));
        }
        window
    }

    /// It is nowhere certain that it was open.
    pub fn never_certain(&mut self) {
        (self.certain_from_ns, self.certain_to_ns) = (self.from_ns, Some(self.from_ns));
    }

    /// Its end may have been told by what was lost at this instant.
    pub fn doubt_from(&mut self, at: u64) {
        if self.to_ns.is_none() && self.from_ns <= at {
            let at = at.max(self.certain_from_ns);
            self.certain_to_ns = Some(self.certain_to_ns.map_or(at, |to| to.min(at)));
        }
    }

    /// Closes it at an instant at the latest.
    pub fn close(&mut self, at: u64) {
        let at = at.max(self.from_ns);
        self.to_ns = self.to_ns.map(|to| to.min(at));
        self.certain_to_ns = self.certain_to_ns.map(|to| to.min(at));
        self.certain_from_ns = self.certain_from_ns.min(at);
    }
}

/// When a line of a process was received that says of what is yet to come that it has begun: nobody can tell that, so that
/// its clock is another than the record's.
pub fn told_too_early(span: &Span) -> Option<u64> {
    let earliest = span.start_boot_ns.saturating_sub(span.start_err_ns);
    span.received_boot_ns.filter(|received| *received < earliest && Format::from_text(&span.source).is_none())
}

/// Whether a hook told that a call was to begin, and none that it ran: it was refused, broken off, or never begun.
pub fn may_never_have_run(span: &Span) -> bool {
    span.source == HOOK && (span.end_boot_ns.is_none() || span.status.as_deref() == Some(ABANDONED))
}

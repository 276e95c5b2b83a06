//! Joins an io_uring request's submission, which names what is asked for, with its completion, which tells the result.

use argus_bpf::Record;
use argus_schemas::events::Event;
use std::collections::HashMap;

/// Requests that have not completed yet, by the kernel's number of them.
#[derive(Debug, Default)]
pub struct Requests {
    open: HashMap<u64, Box<Event>>,
}

/// The kernel may reuse a request without reporting its result: where the program asked for no report of success.
const NO_RESULT: &str = "ret:not_reported";

fn without_result(mut event: Box<Event>) -> Box<Event> {
    event.ret = None;
    event.missing.push(NO_RESULT.to_owned());
    event
}

impl Requests {
    /// Takes a record; returns the event that is whole now, if one is.
    pub fn take(&mut self, record: Record) -> Option<Box<Event>> {
        match record {
            Record::Event(event) => Some(event),
            Record::Submitted(request, event) => self.open.insert(request, event).map(without_result),
            Record::Completed(request, result) => {
                let mut event = self.open.remove(&request)?;
                event.ret = result.ret;
                event.bytes_out = event.bytes_out.map(|_| result.bytes_out.unwrap_or(0));
                if result.path_from == Some("kernel") {
                    (event.path, event.path_from) = (result.path, result.path_from);
                    (event.dev, event.inode, event.mode) = (result.dev, result.inode, result.mode);
                }
                if result.family.is_some() {
                    (event.family, event.proto, event.socket) = (result.family, result.proto, result.socket);
                }
                if result.addr_from == Some("kernel") {
                    event.addr_from = result.addr_from;
                    (event.local_addr, event.local_port) = (result.local_addr, result.local_port);
                    (event.remote_addr, event.remote_port) = (result.remote_addr, result.remote_port);
                }
                Some(event)
            }
            // A packet is nobody's request.
            Record::Packet(..) => None,
        }
    }

    /// The capture ends: what has no result yet.
    pub fn finish(&mut self) -> Vec<Box<Event>> {
        let mut rest: Vec<_> = self.open.drain().map(|(_, event)| without_result(event)).collect();
        rest.sort_by_key(|event| (event.boot_ns, event.cpu, event.cpu_seq));
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(path: &str) -> Box<Event> {
        Box::new(Event { path: Some(path.to_owned()), path_from: Some("argument"), ret: Some(0), ..Event::default() })
    }

    fn result(ret: i64, path: Option<&str>) -> Box<Event> {
        let path_from = path.map(|_| "kernel");
        Box::new(Event { ret: Some(ret), path: path.map(str::to_owned), path_from, ..Event::default() })
    }

    #[test]
    fn a_result_completes_its_request() {
        let mut requests = Requests::default();
        assert_eq!(requests.take(Record::Submitted(1, event("/a"))), None);
        assert_eq!(requests.take(Record::Submitted(2, event("/b"))), None);
        let failed = requests.take(Record::Completed(2, result(-2, None))).unwrap();
        assert_eq!((failed.path.as_deref(), failed.path_from, failed.ret), (Some("/b"), Some("argument"), Some(-2)));
        let opened = requests.take(Record::Completed(1, result(5, Some("/real/a")))).unwrap();
        assert_eq!((opened.path.as_deref(), opened.path_from, opened.ret), (Some("/real/a"), Some("kernel"), Some(5)));
        assert_eq!(requests.take(Record::Completed(1, result(5, None))), None, "a result of nothing that is known");
    }

    #[test]
    fn a_request_without_result_is_kept() {
        let mut requests = Requests::default();
        requests.take(Record::Submitted(1, event("/a")));
        let first = requests.take(Record::Submitted(1, event("/b"))).unwrap();
        assert_eq!((first.path.as_deref(), first.ret), (Some("/a"), None));
        let rest = requests.finish();
        assert_eq!((rest.len(), rest[0].missing.as_slice()), (1, [NO_RESULT.to_owned()].as_slice()));
    }
}

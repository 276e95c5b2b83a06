//! Receives OTLP over HTTP, from agents that already speak OpenTelemetry: traces are kept, metrics and logs are taken
//! politely and not kept.
//!
//! Whoever can reach the port can send: it is bound to this machine alone, and what is sent are claims like all others.
//! The kernel does not name the process at the other end of a TCP connection, so its address is kept: the record of who
//! connected from there tells the author.

use crate::clock::boot_ns;
use crate::error::{Error, Result};
use crate::receiver::Journal;
use crate::rights;
use argus_schemas::import::line_of_protobuf;
use argus_schemas::span_log::{OTLP, Received, Request as Fared};
use flate2::read::MultiGzDecoder;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{JoinSet, LocalSet};

/// The longest body, as it comes and unpacked. Exporters send some hundred spans at once: less than a megabyte.
const BODY_MAX: usize = 64 << 20;

/// How many connections are served at once, and of how many the bodies are held in memory; others wait.
const CONNECTIONS_MAX: usize = 64;
const BODIES_MAX: usize = 2;

/// How long a request may take to arrive. Exporters give up after ten seconds.
const ARRIVAL: Duration = Duration::from_secs(10);

/// How long requests that are under way when the capture ends are waited for: their senders are gone by then, so that
/// what they sent is here.
const CLOSING: Duration = Duration::from_millis(300);

/// The content types of OTLP.
const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// The running server.
pub struct Otlp {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    ignored: Arc<AtomicU64>,
}

impl Otlp {
    /// Listens on an address of this machine; port 0 takes any that is free.
    pub fn start(address: SocketAddr, journal: Journal) -> Result<Otlp> {
        let bind = |source| Error::Bind { address, source };
        let listener = TcpListener::bind(address).map_err(bind)?;
        listener.set_nonblocking(true).map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(bind)?;
        let (stop, stopped) = oneshot::channel();
        let ignored = Arc::new(AtomicU64::new(0));
        let kept = Kept { journal, ignored: Arc::clone(&ignored), bodies: Semaphore::new(BODIES_MAX) };
        let thread = std::thread::Builder::new().name("otlp".to_owned()).spawn(move || {
            // As for the receiver of the span log.
            let _ = rights::keep_only(&[]);
            LocalSet::new().block_on(&runtime, serve(listener, kept, stopped));
        });
        let thread = Some(thread.map_err(bind)?);
        Ok(Otlp { address, stop: Some(stop), thread, ignored })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes what is under way, then ends. Says how many requests told of other things than traces.
    pub fn finish(&mut self) -> u64 {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A panic there cost what it had not yet written; what it wrote stands.
            let _ = thread.join();
        }
        self.ignored.load(Ordering::Acquire)
    }
}

impl Drop for Otlp {
    fn drop(&mut self) {
        self.finish();
    }
}

/// What requests share.
struct Kept {
    journal: Journal,
    ignored: Arc<AtomicU64>,
    bodies: Semaphore,
}

async fn serve(listener: TcpListener, kept: Kept, mut stopped: oneshot::Receiver<()>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let kept = Rc::new(kept);
    let mut connections = JoinSet::new();
    loop {
        let room = connections.len() < CONNECTIONS_MAX;
        tokio::select! {
            biased;
            accepted = listener.accept(), if room => match accepted {
                Ok((stream, peer)) => {
                    let kept = Rc::clone(&kept);
                    connections.spawn_local(async move {
                        let answer = service_fn(move |request| answer(request, peer, Rc::clone(&kept)));
                        let mut server = http1::Builder::new();
                        server.timer(TokioTimer::new()).header_read_timeout(ARRIVAL);
                        // A connection that breaks takes nothing with it but itself.
                        let _ = server.serve_connection(TokioIo::new(stream), answer).await;
                    });
                }
                // Out of descriptors, or a peer that went again: others may come.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            // Dropping the sender is the word to stop.
            _ = &mut stopped => break,
            Some(_) = connections.join_next() => {}
        }
    }
    let _ = tokio::time::timeout(CLOSING, async { while connections.join_next().await.is_some() {} }).await;
}

/// Answers one request.
async fn answer(
    request: Request<Incoming>,
    author_address: SocketAddr,
    kept: Rc<Kept>,
) -> std::result::Result<Response<Full<Bytes>>, Infallible> {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let json = kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(JSON);
    let mut response = Response::new(Full::new(Bytes::from_static(if json { b"{}" } else { b"" })));
    let kind = if json { JSON } else { PROTOBUF };
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    match take(request, json, author_address, &kept).await {
        Ok(None) => {}
        Ok(Some(fared)) if fared.rejected == 0 => {}
        // It is kept all the same; the sender need not send it again.
        Ok(Some(fared)) if fared.broken => *response.status_mut() = StatusCode::BAD_REQUEST,
        Ok(Some(fared)) => *response.body_mut() = Full::new(partly(&fared, json).into()),
        Err(status) => {
            *response.status_mut() = status;
            if status == StatusCode::METHOD_NOT_ALLOWED {
                response.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("POST"));
            }
        }
    }
    Ok(response)
}

/// The answer to a request of which not everything could be read: `ExportTraceServiceResponse`.
fn partly(fared: &Fared, json: bool) -> Vec<u8> {
    let count = fared.rejected;
    if json {
        let partial = serde_json::json!({"rejectedSpans": count.to_string(), "errorMessage": fared.reasons});
        return serde_json::json!({ "partialSuccess": partial }).to_string().into_bytes();
    }
    fn varint(mut number: u64, into: &mut Vec<u8>) {
        while number >= 0x80 {
            into.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        into.push(number as u8);
    }
    // partial_success = 1 { rejected_spans = 1, error_message = 2 }
    let mut partial = vec![0x08];
    varint(count, &mut partial);
    partial.push(0x12);
    varint(fared.reasons.len() as u64, &mut partial);
    partial.extend_from_slice(fared.reasons.as_bytes());
    let mut response = vec![0x0a];
    varint(partial.len() as u64, &mut response);
    response.extend(partial);
    response
}

async fn take(
    request: Request<Incoming>,
    json: bool,
    author_address: SocketAddr,
    kept: &Kept,
) -> std::result::Result<Option<Fared>, StatusCode> {
    let traces = match request.uri().path() {
        "/v1/traces" => true,
        "/v1/metrics" | "/v1/logs" => false,
        _ => return Err(StatusCode::NOT_FOUND),
    };
    if request.method() != Method::POST {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !json && !header(CONTENT_TYPE).trim().to_ascii_lowercase().starts_with(PROTOBUF) {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let packed = match header(CONTENT_ENCODING).trim() {
        "" | "identity" => false,
        "gzip" => true,
        _ => return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE),
    };
    let _room = kept.bodies.acquire().await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let arriving = tokio::time::timeout(ARRIVAL, Limited::new(request.into_body(), BODY_MAX).collect());
    let body = match arriving.await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => return Err(StatusCode::PAYLOAD_TOO_LARGE),
        Ok(Err(_)) => return Err(StatusCode::BAD_REQUEST),
        Err(_) => return Err(StatusCode::REQUEST_TIMEOUT),
    };
    if !traces {
        kept.ignored.fetch_add(1, Ordering::AcqRel);
        return Ok(None);
    }
    let body = if packed { unpack(&body)? } else { body.into() };
    let line = if json { String::from_utf8_lossy(&body).into_owned() } else { line_of_protobuf(&body) };
    // Answered when it is in the journal: the sender need not keep it any longer.
    let (source, author_address) = (OTLP.to_owned(), Some(author_address));
    Ok(kept.journal.take(&Received { boot_ns: boot_ns(), author_address, source, line, ..Received::default() }))
}

/// Unpacks a body of bounded length.
fn unpack(body: &[u8]) -> std::result::Result<Vec<u8>, StatusCode> {
    let mut unpacked = Vec::new();
    let limit = u64::try_from(BODY_MAX).unwrap_or(u64::MAX);
    MultiGzDecoder::new(body).take(limit + 1).read_to_end(&mut unpacked).map_err(|_| StatusCode::BAD_REQUEST)?;
    if unpacked.len() > BODY_MAX { Err(StatusCode::PAYLOAD_TOO_LARGE) } else { Ok(unpacked) }
}

/// The variables that lead the exporters of a command to `address`; none where it has an endpoint of its own.
pub fn environment(address: SocketAddr) -> Vec<(&'static str, String)> {
    let own = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
    if own.iter().any(|name| std::env::var_os(name).is_some()) {
        return Vec::new();
    }
    vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}")),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf".to_owned()),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", format!("http://{address}/v1/traces")),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf".to_owned()),
    ]
}

/// What in the environment keeps OpenTelemetry's SDKs from exporting traces over OTLP, in words for a person: what a
/// person has switched off stays off.
pub fn silenced(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let of = |name: &str| variable(name).map(|value| value.trim().to_ascii_lowercase()).filter(|it| !it.is_empty());
    if of("OTEL_SDK_DISABLED").as_deref() == Some("true") {
        return Some("OTEL_SDK_DISABLED is true in the environment: no traces will come".to_owned());
    }
    let exporters = of("OTEL_TRACES_EXPORTER")?;
    let sent = exporters.split(',').any(|exporter| exporter.trim().starts_with("otlp"));
    (!sent).then(|| format!("OTEL_TRACES_EXPORTER is {exporters:?} in the environment: no traces will come over OTLP"))
}

/// An address that only this machine reaches.
///
/// # Errors
/// In words, for the command line.
pub fn loopback(text: &str) -> std::result::Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "it should be like 127.0.0.1:4318".to_owned())?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("what is received is taken as the agent's word, so only this machine may send: use 127.0.0.1".to_owned())
    }
}

#[cfg(test)]
mod tests;

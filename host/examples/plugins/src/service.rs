//! A service to call, and another that it redirects to. Both write down who was there.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::Result;

pub(crate) struct Service {
    address: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Service {
    /// Starts both, each on a free port of this machine.
    pub(crate) fn start() -> Result<Self> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let elsewhere = TcpListener::bind("127.0.0.1:0")?;
        let location = format!("http://{}/welcome", elsewhere.local_addr()?);
        serve(elsewhere, "elsewhere", String::new(), Arc::clone(&seen));
        let service = TcpListener::bind("127.0.0.1:0")?;
        let address = service.local_addr()?.to_string();
        serve(service, "the service", location, Arc::clone(&seen));
        Ok(Self { address, seen })
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// A line for each request.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(
    listener: TcpListener,
    name: &'static str,
    location: String,
    seen: Arc<Mutex<Vec<String>>>,
) {
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if let Ok(line) = answer(stream, &location) {
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.push(format!("{name}: {line}"));
            }
        }
    });
}

/// Answers one request, and reports it. `/redirect` leads to the location; to TRACE the answer is the request, as
/// RFC 9110, section 9.3.8, has it.
fn answer(mut stream: TcpStream, location: &str) -> Result<String> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    let mut words = request.split(' ');
    let [method, path] = [(); 2].map(|()| words.next().unwrap_or_default());
    let mut authorization = "no authorization".to_owned();
    let mut echo = format!("{request}\r\n");
    for line in lines.map_while(Result::ok).take_while(|line| !line.is_empty()) {
        echo += &format!("{line}\r\n");
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("authorization")
        {
            authorization = format!("authorization:{value}");
        }
    }
    let head = match path {
        "/redirect" => format!("HTTP/1.1 302 Found\r\nlocation: {location}"),
        _ => "HTTP/1.1 200 OK".to_owned(),
    };
    let body = if method.eq_ignore_ascii_case("TRACE") { echo } else { String::new() };
    let length = body.len();
    write!(stream, "{head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")?;
    Ok(format!("{method} {path} with {authorization}"))
}

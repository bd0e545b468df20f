//! A thread that accepts connections on a free loopback port, and ends with its handle.
//! Takes what serves one connection; gives the address.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Accepts connections until it is dropped.
pub(super) struct Acceptor {
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
}

impl Acceptor {
    /// Calls `serve` for each connection, in a thread for each.
    pub(super) fn start(
        serve: impl Fn(&TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> io::Result<Acceptor> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let stopping = Arc::new(AtomicBool::new(false));
        let (serve, ends) = (Arc::new(serve), Arc::clone(&stopping));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                let serve = Arc::clone(&serve);
                // A failure here is a closed connection, which is what the client sees too.
                thread::spawn(move || serve(&stream).ok());
            }
        });
        Ok(Acceptor { address, stopping })
    }

    /// `127.0.0.1:PORT`.
    pub(super) fn host(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which sees that it must stop.
        TcpStream::connect(self.address).ok();
    }
}

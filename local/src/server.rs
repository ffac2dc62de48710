//! The HTTP server: accepts connections and passes requests to the service.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::connection::{Connection, ConnectionKiller};
use crate::engine::{Calls, Engine};
use crate::error::ServiceError;
use crate::events::Event;
use crate::faults::Fault;
use crate::guard;
use crate::options::{Options, StartError};
use crate::rotator::driver;
use crate::rotator::functions::Invoker;
use crate::service::Service;
use crate::stop::stopped;
use crate::tls;

/// An endpoint that is bound to its address and ready to serve.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use secretcache_local::{Options, Server};
///
/// let server = Server::bind(Options { port: 0, ..Options::default() }).await?;
/// let (url, handle) = (server.url(), server.handle());
/// let serving = tokio::spawn(server.serve());
/// assert!(url.starts_with("http://127.0.0.1:"));
/// handle.shutdown();
/// serving.await.unwrap()?;
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    extension: Option<(TcpListener, SocketAddr)>,
    tls: Option<TlsAcceptor>,
    service: Arc<Service>,
    invoker: Arc<Invoker>,
    stop: watch::Sender<bool>,
}

/// Controls a running [`Server`]: stops it, injects faults and moves its clock.
#[derive(Clone)]
pub struct Handle {
    service: Arc<Service>,
    stop: watch::Sender<bool>,
}

impl Server {
    /// Binds the address in `options` and reads the files given there.
    ///
    /// # Errors
    /// The address is in use, not permitted or not local, or a file cannot be used.
    pub async fn bind(options: Options) -> Result<Self, StartError> {
        if let Some(name) = options.accepted_hosts.iter().find(|name| !guard::is_host(name)) {
            return Err(StartError::AcceptedHost { name: name.clone() });
        }
        let tls = options.tls.as_ref().map(tls::acceptor).transpose()?;
        let (listener, address) = listen(&options.host, options.port).await?;
        let extension = match &options.extension {
            Some(extension) => Some(listen(&options.host, extension.port).await?),
            None => None,
        };
        let invoker = Invoker::new(&options.rotation)?;
        let engine = Arc::new(Engine::new(&options, invoker.functions())?);
        let stop = watch::Sender::new(false);
        let invoker = Arc::new(invoker);
        let service = Service::new(engine, Arc::clone(&invoker), &options, stop.clone());
        Ok(Self { listener, address, extension, tls, service: Arc::new(service), invoker, stop })
    }

    /// Returns the address it listens on, with the actual port if port 0 was requested.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL of the extension, for functions.
    pub fn extension_url(&self) -> Option<String> {
        self.extension.as_ref().map(|(_, address)| format!("http://{address}"))
    }

    /// Returns a problem that does not prevent serving: the data file cannot grow.
    pub fn warning(&self) -> Option<&str> {
        self.service.engine().warning.as_deref()
    }

    /// Returns the Regions that have secrets. A request reaches only those of the Region that it is signed for.
    pub fn regions(&self) -> BTreeSet<String> {
        self.service.engine().regions()
    }

    /// Returns the endpoint URL for clients.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Returns a handle that controls it.
    pub fn handle(&self) -> Handle {
        Handle { service: Arc::clone(&self.service), stop: self.stop.clone() }
    }

    /// Serves until [`Handle::shutdown`], then waits up to two seconds for requests in progress.
    ///
    /// # Errors
    /// The listener itself fails. An error on one connection only ends that connection.
    pub async fn serve(self) -> io::Result<()> {
        let rotations = driver::run(Arc::clone(self.service.engine()), Arc::clone(&self.invoker));
        let rotations = tokio::spawn(rotations);
        let graceful = GracefulShutdown::new();
        let mut stopping = self.stop.subscribe();
        loop {
            // The extension always uses plain HTTP.
            let (accepted, tls) = tokio::select! {
                accepted = self.listener.accept() => (accepted, self.tls.clone()),
                accepted = accept_extension(self.extension.as_ref()) => (accepted, None),
                () = stopped(&mut stopping) => break,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) if is_passing(&error) => {
                    // Perhaps no descriptors are left: clients wait in the backlog until some are free.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            tokio::spawn(accept(stream, tls, Arc::clone(&self.service), graceful.watcher()));
        }
        drop(self.listener);
        // A request still running after this is abandoned, as in a crash.
        let _ = tokio::time::timeout(PATIENCE, graceful.shutdown()).await;
        // So is a rotation; it resumes at the next start if there is a data file.
        rotations.abort();
        Ok(())
    }
}

impl Handle {
    /// Stops the server.
    pub fn shutdown(&self) {
        self.stop.send_replace(true);
    }

    /// Adds a fault, and returns the number to remove it with.
    ///
    /// Stale reads need [`Options::control`], because past states are kept only then.
    pub fn add_fault(&self, fault: Fault) -> u64 {
        self.service.engine().add_fault(fault)
    }

    /// Removes the fault with this number. Returns whether it existed.
    pub fn remove_fault(&self, id: u64) -> bool {
        self.service.engine().remove_faults(Some(id))
    }

    /// Removes every fault.
    pub fn clear_faults(&self) {
        self.service.engine().remove_faults(None);
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.service.engine().move_clock(by.as_millis().try_into().unwrap_or(i64::MAX));
    }

    /// Stops the clock, or lets it continue from where it is.
    pub fn freeze(&self, frozen: bool) {
        self.service.engine().freeze_clock(frozen);
    }

    /// Restores the initial state: the secrets of the data file and the seed, the system's time, and no faults, counts
    /// or events.
    ///
    /// # Errors
    /// The data file cannot be written.
    pub fn reset(&self) -> Result<(), ServiceError> {
        self.service.engine().reset()
    }

    /// Returns the latest thousand rotation events, oldest first.
    pub fn events(&self) -> Vec<Event> {
        self.service.engine().events.all()
    }

    /// Returns how often each operation was called, by outcome.
    pub fn calls(&self) -> Calls {
        self.service.engine().calls()
    }
}

async fn listen(host: &str, port: u16) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::bind(host, port, source);
    let listener = TcpListener::bind((host, port)).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Accepts the next connection to the extension. Waits forever if there is no extension.
async fn accept_extension(
    extension: Option<&(TcpListener, SocketAddr)>,
) -> io::Result<(TcpStream, SocketAddr)> {
    match extension {
        Some((listener, _)) => listener.accept().await,
        None => std::future::pending().await,
    }
}

async fn accept(stream: TcpStream, tls: Option<TlsAcceptor>, service: Arc<Service>, watcher: Watcher) {
    let killer = ConnectionKiller::default();
    let stream = Connection::new(stream, killer.clone());
    match tls {
        None => talk(stream, killer, service, watcher).await,
        Some(tls) => {
            // A client that does not speak TLS, or does not trust the certificate, disconnects on its own.
            if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                talk(stream, killer, service, watcher).await;
            }
        }
    }
}

async fn talk<S>(stream: S, killer: ConnectionKiller, service: Arc<Service>, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let respond = service_fn(move |request| {
        let (service, killer) = (Arc::clone(&service), killer.clone());
        async move { service.respond(request, &killer).await }
    });
    // No timer: idle connections stay open, for clients with a connection pool.
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), respond);
    // A client that disconnects is not an error.
    let _ = watcher.watch(connection).await;
}

/// Returns whether an error of `accept` is temporary, so that the listener still works: the client disconnected again,
/// or resources are exhausted.
fn is_passing(error: &io::Error) -> bool {
    !matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotConnected)
}

/// How long requests in progress may take after a shutdown.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

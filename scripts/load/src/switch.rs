//! A router in front of the server, as a platform has one: where new connections go can be switched, old ones stay.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, spawn_local};

/// The router; it ends when dropped.
#[derive(Debug)]
pub struct Switch {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where new connections go.
    pub to: Rc<Cell<SocketAddr>>,
    task: JoinHandle<()>,
}

impl Switch {
    /// Listens on a free port.
    ///
    /// # Errors
    /// As the kernel says.
    pub async fn start(to: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let to = Rc::new(Cell::new(to));
        let target = Rc::clone(&to);
        let task = spawn_local(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let to = target.get();
                spawn_local(async move {
                    // a client whose server is not there sees its connection end
                    if let Ok(mut server) = TcpStream::connect(to).await {
                        let _ = (client.set_nodelay(true), server.set_nodelay(true));
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        Ok(Self { address, to, task })
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

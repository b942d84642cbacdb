//! A router in front of the server, as platforms have it. The target of new connections can be
//! switched; old connections stay.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, spawn_local};

/// The router. Dropping it ends it.
#[derive(Debug)]
pub struct Switch {
    /// Address on which it listens.
    pub address: SocketAddr,
    /// Target of new connections.
    pub to: Rc<Cell<SocketAddr>>,
    task: JoinHandle<()>,
}

impl Switch {
    /// Listens on a free port.
    ///
    /// # Errors
    /// Fails on an I/O error.
    pub async fn start(to: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let to = Rc::new(Cell::new(to));
        let target = Rc::clone(&to);
        let task = spawn_local(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let to = target.get();
                spawn_local(async move {
                    // a client whose server is gone sees its connection end
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

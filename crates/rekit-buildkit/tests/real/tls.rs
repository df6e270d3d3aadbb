//! A daemon behind mutual TLS: trusted with the right certificates, refused with a reason without.
#![expect(
    clippy::disallowed_methods,
    reason = "a test that starts a daemon and makes its certificates"
)]
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rekit_buildkit::{ConnectError, ControlTimeouts, Daemon, DialError, TlsMaterial};

use crate::support::{buildkitd, connect, fresh};

/// A `buildkitd` on a port of its own, with its folder; both go with it.
struct Standalone {
    child: Child,
    folder: PathBuf,
    port: u16,
}

impl Standalone {
    fn start() -> Self {
        let folder = std::env::temp_dir().join(fresh());
        std::fs::create_dir_all(&folder).unwrap();
        make_certificates(&folder);
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        // Whatever its address, buildkitd leaves a socket in /run/buildkit: it gets one of its own.
        let apart = r#"mkdir -p /run/buildkit && mount -t tmpfs test /run/buildkit && exec "$@""#;
        let child = Command::new("unshare")
            .args(["--mount", "--propagation", "private"])
            .args(["sh", "-c", apart, "sh"])
            .arg(buildkitd())
            .current_dir(&folder)
            .args(["--addr", &format!("tcp://127.0.0.1:{port}")])
            .args(["--oci-worker-snapshotter", "native", "--root"])
            .arg(folder.join("root"))
            .args(["--tlscacert", "ca.pem", "--tlscert", "daemon.pem"])
            .args(["--tlskey", "daemon.key"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            child,
            folder,
            port,
        }
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.join(name)).unwrap()
    }

    fn material(&self) -> TlsMaterial {
        let identity = Some((self.read("client.pem"), self.read("client.key")));
        let ca = self.read("ca.pem");
        TlsMaterial {
            ca,
            identity,
            ..TlsMaterial::default()
        }
    }

    fn daemon(&self, tls: Option<TlsMaterial>) -> Daemon {
        let host = "127.0.0.1".to_owned();
        Daemon::Tcp {
            host,
            port: self.port,
            tls,
        }
    }

    async fn assert_untrusted(&self, tls: TlsMaterial) {
        let daemon = self.daemon(Some(tls));
        let error = daemon.connect(ControlTimeouts::CONNECT).await.unwrap_err();
        let ConnectError::Dial(dial) = error else {
            panic!("{error:?}")
        };
        assert!(matches!(*dial, DialError::Handshake { .. }), "{dial:?}");
    }
}

impl Drop for Standalone {
    fn drop(&mut self) {
        drop(
            Command::new("kill")
                .arg(self.child.id().to_string())
                .status(),
        );
        drop(self.child.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

#[tokio::test]
async fn mutual_tls_is_trusted_with_the_right_certificates_only() {
    let standalone = Standalone::start();
    let good = standalone.material();
    let control = connect(&standalone.daemon(Some(good.clone()))).await;
    let workers = control.list_workers(ControlTimeouts::LOOK).await.unwrap();
    assert!(!workers.is_empty());

    let ca = standalone.read("client.pem");
    standalone
        .assert_untrusted(TlsMaterial { ca, ..good.clone() })
        .await;
    let server_name = Some("elsewhere".to_owned());
    standalone
        .assert_untrusted(TlsMaterial {
            server_name,
            ..good.clone()
        })
        .await;
    let skipped = TlsMaterial {
        ca: Vec::new(),
        skip_verify: true,
        ..good.clone()
    };
    let skipping = standalone.daemon(Some(skipped));
    skipping.connect(ControlTimeouts::CONNECT).await.unwrap();
    for stranger in [
        None,
        Some(TlsMaterial {
            identity: None,
            ..good
        }),
    ] {
        let daemon = standalone.daemon(stranger);
        assert!(daemon.connect(Duration::from_secs(2)).await.is_err());
    }
}

/// An authority, and a certificate of its for each side.
fn make_certificates(folder: &Path) {
    let script = r"set -e
new='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
openssl req -x509 $new -days 2 -subj /CN=ca -keyout ca.key -out ca.pem
for who in daemon client; do
  openssl req $new -subj /CN=$who -keyout $who.key -out $who.csr
  printf 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n' > $who.ext
  openssl x509 -req -in $who.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile $who.ext -out $who.pem
done";
    let mut shell = Command::new("sh");
    let made = shell
        .args(["-c", script])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
}

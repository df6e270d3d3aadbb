//! A daemon behind mutual TLS: trusted with the right certificates, refused with a reason without.
#![expect(
    clippy::disallowed_methods,
    reason = "a test that starts a daemon and makes its certificates"
)]
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use rekit_buildkit::{ConnectError, ControlTimeouts, Daemon, DialError, TlsMaterial};

use crate::support::{connect, fresh};

/// A `buildkitd` with its folder; both go with it.
struct Standalone(Child, std::path::PathBuf);

impl Drop for Standalone {
    fn drop(&mut self) {
        drop(Command::new("kill").arg(self.0.id().to_string()).status());
        drop(self.0.wait());
        drop(std::fs::remove_dir_all(&self.1));
    }
}

#[tokio::test]
async fn mutual_tls_is_trusted_with_the_right_certificates_only() {
    let program = std::env::var("REKIT_TEST_BUILDKITD")
        .expect("set REKIT_TEST_BUILDKITD to a buildkitd program (rekit-lab builds one)");
    let folder = std::env::temp_dir().join(fresh());
    std::fs::create_dir_all(&folder).unwrap();
    make_certificates(&folder);
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let at = |name: &str| folder.join(name).display().to_string();
    let child = Command::new(program)
        .args([
            "--addr",
            &format!("tcp://127.0.0.1:{port}"),
            "--root",
            &at("root"),
            "--oci-worker-snapshotter",
            "native",
        ])
        .args([
            "--tlscacert",
            &at("ca.pem"),
            "--tlscert",
            &at("daemon.pem"),
            "--tlskey",
            &at("daemon.key"),
        ])
        .stderr(std::fs::File::create(folder.join("log")).unwrap())
        .spawn()
        .unwrap();
    let standalone = Standalone(child, folder.clone());

    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let good = TlsMaterial {
        ca: read("ca.pem"),
        identity: Some((read("client.pem"), read("client.key"))),
        ..TlsMaterial::default()
    };
    let daemon = |tls: Option<TlsMaterial>| Daemon::Tcp {
        host: "127.0.0.1".to_owned(),
        port,
        tls,
    };
    let control = connect(&daemon(Some(good.clone()))).await;
    assert!(
        !control
            .list_workers(ControlTimeouts::LOOK)
            .await
            .unwrap()
            .is_empty()
    );

    let wrong_authority = TlsMaterial {
        ca: read("client.pem"),
        ..good.clone()
    };
    let error = daemon(Some(wrong_authority))
        .connect(ControlTimeouts::CONNECT)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ConnectError::Dial(dial) if matches!(**dial, DialError::Handshake { .. })),
        "{error:?}"
    );
    let wrong_name = TlsMaterial {
        server_name: Some("elsewhere".to_owned()),
        ..good.clone()
    };
    let error = daemon(Some(wrong_name))
        .connect(ControlTimeouts::CONNECT)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ConnectError::Dial(dial) if matches!(**dial, DialError::Handshake { .. })),
        "{error:?}"
    );
    let skipped = TlsMaterial {
        ca: Vec::new(),
        skip_verify: true,
        ..good.clone()
    };
    assert!(
        daemon(Some(skipped))
            .connect(ControlTimeouts::CONNECT)
            .await
            .is_ok()
    );
    for stranger in [
        None,
        Some(TlsMaterial {
            identity: None,
            ..good
        }),
    ] {
        assert!(
            daemon(stranger)
                .connect(Duration::from_secs(2))
                .await
                .is_err()
        );
    }
    drop(standalone);
}

fn make_certificates(folder: &Path) {
    let script = r"set -e
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=ca -keyout ca.key -out ca.pem
for who in daemon client; do
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$who -keyout $who.key -out $who.csr
  printf 'subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n' > $who.ext
  openssl x509 -req -in $who.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile $who.ext -out $who.pem
done";
    let made = Command::new("sh")
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

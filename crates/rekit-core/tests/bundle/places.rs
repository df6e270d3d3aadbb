//! The places where people and programs keep secrets, one text each.

use rekit_core::bundle::Kind;

/// A text with a secret in it.
pub(crate) struct Place {
    /// How it is masked.
    pub(crate) kind: Kind,
    /// `{S}` stands for the secret, `{BASIC}` for the base64 of `user:` and the secret.
    pub(crate) text: &'static str,
    /// A record that has the text as a file, where it lies in one.
    pub(crate) within: Option<&'static str>,
    /// What must still be there.
    pub(crate) stays: &'static [&'static str],
}

const fn place(kind: Kind, text: &'static str, stays: &'static [&'static str]) -> Place {
    Place {
        kind,
        text,
        within: None,
        stays,
    }
}

const fn within(record: &'static str, text: &'static str, stays: &'static [&'static str]) -> Place {
    Place {
        kind: Kind::Record,
        text,
        within: Some(record),
        stays,
    }
}

const CONFIGURED: &str = r#"{"Name":"team","Driver":"docker-container","Nodes":[{"Name":"team0","Endpoint":"unix:///s","Files":{"buildkitd.toml":"{FILE}"}}]}"#;
const KEYED: &str = r#"{"Name":"team","nodes":[{"Name":"team0","files":{"certs/h/key.pem":"{FILE}","certs/h/ca.pem":"{FILE}"}}]}"#;

/// Every place.
pub(crate) const PLACES: &[Place] = &[
    // The CLI's config.json.
    place(
        Kind::Json,
        r#"{"auths":{"https://index.docker.io/v1/":{"auth":"{BASIC}"}},"credsStore":"desktop","currentContext":"team"}"#,
        &["desktop", "\"currentContext\": \"team\""],
    ),
    place(
        Kind::Json,
        r#"{"auths":{"r":{"identitytoken":"{S}"}},"features":{"buildkit":"true"}}"#,
        &["buildkit"],
    ),
    place(
        Kind::Json,
        r#"{"Auths":{"r":{"registrytoken":"{S}","email":"{S}"}}}"#,
        &["Auths"],
    ),
    place(Kind::Json, r#"{"auths":["{S}"],"x":1}"#, &["\"x\": 1"]),
    place(
        Kind::Json,
        r#"{"HttpHeaders":{"User-Agent":"Docker","X-Meta":"{S}"},"plugins":{"a":{"b":"c"}}}"#,
        &["X-Meta", "\"b\": \"c\""],
    ),
    place(
        Kind::Json,
        r#"{"httpheaders":{"X":["{S}"]}}"#,
        &["httpheaders"],
    ),
    place(
        Kind::Json,
        r#"{"proxies":{"default":{"httpProxy":"http://user:{S}@proxy.corp:3128","noProxy":"localhost"}}}"#,
        &["proxy.corp:3128", "localhost"],
    ),
    place(
        Kind::Json,
        r#"{"proxies":{"tcp://user:{S}@h:2375":{"httpsProxy":"http://p:1"}}}"#,
        &["http://p:1"],
    ),
    place(
        Kind::Json,
        r#"{"proxies":{"default":{"httpProxy":"user:{S}@proxy.corp:3128"}}}"#,
        &["proxy.corp:3128"],
    ),
    place(
        Kind::Json,
        r#"{"credHelpers":{"ecr":"ecr-login"},"registryToken":["{S}"]}"#,
        &["ecr-login"],
    ),
    place(Kind::Json, "\u{feff}{\"apiKey\":\"{S}\"}", &["apiKey"]),
    place(
        Kind::Json,
        r#"{"secret":{"deep":[{"er":"{S}"}]},"debug":true}"#,
        &["deep", "\"debug\": true"],
    ),
    // daemon.json.
    place(
        Kind::Json,
        r#"{"log-opts":{"splunk-token":"{S}","max-size":"10m"}}"#,
        &["\"max-size\": \"10m\""],
    ),
    place(
        Kind::Json,
        r#"{"proxies":{"https-proxy":"https://{S}@proxy.corp"},"data-root":"/data"}"#,
        &["proxy.corp", "/data"],
    ),
    place(
        Kind::Json,
        r#"{"registry-mirrors":["https://u:{S}@mirror.corp"],"mtu":1400}"#,
        &["mirror.corp", "1400"],
    ),
    place(
        Kind::Json,
        r#"{"exec-opts":["x.y=z","--password={S}"]}"#,
        &["x.y=z"],
    ),
    place(
        Kind::Json,
        r#"{"args":["--registry-token","{S}","--debug"]}"#,
        &["--debug"],
    ),
    place(
        Kind::Json,
        r#"{"env":{"FOO":"{S}","BUILDKIT_STEP_LOG_MAX_SIZE":"-1","N":"4"}}"#,
        &["FOO", "\"-1\"", "\"4\""],
    ),
    place(
        Kind::Json,
        r#"{"env":["FOO={S}","BUILDX_BUILDER=team"]}"#,
        &["BUILDX_BUILDER=team"],
    ),
    // JSON that does not parse.
    place(
        Kind::Json,
        r#"{"auths":{"r":{"auth":"{BASIC}"}},"credsStore":"desktop""#,
        &["auths", "credsStore"],
    ),
    place(
        Kind::Json,
        r#"{"auths":{"r":{"auth": {BASIC}"}},"mtu":1400}"#,
        &["auths", "auth"],
    ),
    place(
        Kind::Json,
        r#"{"HttpHeaders":{"X":"a\"{S}"},,}"#,
        &["HttpHeaders"],
    ),
    place(
        Kind::Record,
        r#"{"Name":"b","Nodes":[{"Name":"b0","DriverOpts":{"env.X":"{S}"#,
        &["Nodes", "DriverOpts"],
    ),
    // Contexts and Desktop.
    place(
        Kind::Json,
        r#"{"Name":"c","Metadata":{"Description":"d","ApiToken":"{S}"},"Endpoints":{"docker":{"Host":"tcp://h:2376"}}}"#,
        &["tcp://h:2376"],
    ),
    place(
        Kind::Json,
        r#"{"Name":"c","Endpoints":{"docker":{"Host":"tcp://u:{S}@h:2376","SkipTLSVerify":false}}}"#,
        &["@h:2376", "SkipTLSVerify"],
    ),
    place(
        Kind::Json,
        r#"{"Endpoints":{"kubernetes":{"client-key-data":"{S}","Host":"https://k:6443"}}}"#,
        &["https://k:6443"],
    ),
    place(
        Kind::Json,
        r#"{"Endpoints":{"kubernetes":{"kubeconfig":{"users":[{"x":"{S}"}]}}}}"#,
        &["kubernetes"],
    ),
    place(
        Kind::Json,
        r#"{"OverrideProxyHTTP":"http://user:{S}@proxy:1","Cpus":4}"#,
        &["proxy:1", "\"Cpus\": 4"],
    ),
    // Builder records.
    place(
        Kind::Record,
        r#"{"Name":"team","Nodes":[{"Name":"team0","DriverOpts":{"env.NPM_TOKEN":"{S}","network":"host","image":"moby/buildkit:v1"}}]}"#,
        &["moby/buildkit:v1", "\"network\": \"host\""],
    ),
    place(
        Kind::Record,
        r#"{"Nodes":[{"DriverOpts":{"env.INNOCENT":"{S}","env.GOMAXPROCS":"2"}}]}"#,
        &["env.INNOCENT", "\"2\""],
    ),
    place(
        Kind::Record,
        r#"{"Nodes":[{"DriverOpts":{"env.HTTP_PROXY":"http://u:{S}@p:1"}}]}"#,
        &["@p:1"],
    ),
    place(
        Kind::Record,
        r#"{"Nodes":[{"Endpoint":"tcp://u:{S}@h:1","DriverOpts":{"key":"/certs/key.pem"}}]}"#,
        &["@h:1", "/certs/key.pem"],
    ),
    place(
        Kind::Record,
        r#"{"Nodes":[{"Flags":["--debug","--token","{S}"]}]}"#,
        &["--debug"],
    ),
    within(
        KEYED,
        "-----BEGIN PRIVATE KEY-----\n{S}\n-----END PRIVATE KEY-----\n",
        &["certs/h/key.pem"],
    ),
    within(KEYED, "{S}", &["certs/h/ca.pem"]),
    within(
        CONFIGURED,
        "debug = true\n[registry.\"r.corp\"]\nmirrors = [\"u:{S}@m.corp\"]\n",
        &["debug = true", "@m.corp"],
    ),
    within(
        CONFIGURED,
        "# token: {S}\n[worker.oci]\nmax-parallelism = 4\n",
        &["max-parallelism = 4"],
    ),
    // TOML.
    place(
        Kind::Toml,
        "password = \"{S}\"\n[worker.oci]\ngc = true # yes\n",
        &["gc = true # yes"],
    ),
    place(
        Kind::Toml,
        "[grpc.tls]\nkey = \"/certs/key.pem\"\n[x.token]\nvalue = \"{S}\"\n",
        &["key = \"/certs/key.pem\""],
    ),
    place(Kind::Toml, "[a]\napi_key = '''{S}'''\nb = 1\n", &["b = 1"]),
    place(
        Kind::Toml,
        "secrets = [ \"{S}\", \"{S}\" ]\nroot = \"/r\"\n",
        &["root = \"/r\""],
    ),
    place(Kind::Toml, "a = { token = \"{S}\", b = 2 }\n", &["b = 2"]),
    place(
        Kind::Toml,
        "env = [\"FOO={S}\", \"BUILDKIT_X=1\"]\n",
        &["BUILDKIT_X=1"],
    ),
    place(
        Kind::Toml,
        "url = \"https://u:{S}@h/x\"\n[broken\n",
        &["[broken", "@h/x"],
    ),
    place(
        Kind::Toml,
        "token = \"{S}\"\n[broken\ngc = true\n",
        &["gc = true"],
    ),
    place(Kind::Toml, "token = \"{S} and more", &["token"]),
    // Units.
    place(
        Kind::Unit,
        "[Service]\nEnvironment=FOO={S}\nExecStart=/usr/bin/buildkitd --debug\n",
        &["ExecStart=/usr/bin/buildkitd --debug"],
    ),
    place(
        Kind::Unit,
        "Environment=\"FOO=a {S}\" 'BUILDKIT_X=1'\n",
        &["'BUILDKIT_X=1'"],
    ),
    place(
        Kind::Unit,
        "Environment=A=1 \\\n  FOO={S} \\\n  B=2\nRestart=always\n",
        &["A=1", "B=2", "Restart=always"],
    ),
    place(
        Kind::Unit,
        "#Environment=FOO={S}\nType=notify\n",
        &["Type=notify"],
    ),
    place(
        Kind::Unit,
        "Environment=HTTPS_PROXY=http://u:{S}@p:3128\n",
        &["@p:3128"],
    ),
    place(
        Kind::Unit,
        "ExecStart=/bin/x --token {S} --debug\n",
        &["--debug"],
    ),
    place(
        Kind::Unit,
        "ExecStart=/bin/curl -u me:{S} https://h\n",
        &["https://h"],
    ),
    place(
        Kind::Unit,
        "ExecStart=/usr/bin/docker run -e FOO={S} -e BUILDKIT_X=1 image\n",
        &["BUILDKIT_X=1 image"],
    ),
    place(
        Kind::Unit,
        "SetCredential=registry:{S}\nUser=me\n",
        &["User=me"],
    ),
    // Logs and any other text.
    place(
        Kind::Text,
        "level=info msg=\"Authorization: Bearer {S}\"\nnext line\n",
        &["level=info", "next line"],
    ),
    place(
        Kind::Text,
        "Authorization: Basic {BASIC}\n",
        &["Authorization"],
    ),
    place(Kind::Text, "GET / bearer {S} done\n", &["done"]),
    place(
        Kind::Text,
        "proxy-authorization: NTLM {S} {S}\nnext",
        &["next"],
    ),
    place(Kind::Text, "Cookie: a=b; session={S}\nnext", &["next"]),
    place(
        Kind::Text,
        "{\\\"password\\\":\\\"{S}\\\",\\\"user\\\":\\\"me\\\"}",
        &["user", "me"],
    ),
    place(
        Kind::Text,
        "//registry.npmjs.org/:_authToken={S}\nnpm next",
        &["//registry.npmjs.org/", "npm next"],
    ),
    place(Kind::Text, "_auth = {BASIC}\nalways", &["always"]),
    place(
        Kind::Text,
        "index-url = https://__token__:{S}@pypi.org/simple\n",
        &["index-url = https://"],
    ),
    place(
        Kind::Text,
        "aws_secret_access_key={S},bucket=b",
        &["bucket=b"],
    ),
    place(
        Kind::Text,
        "type=s3,secret_access_key={S},region=eu",
        &["type=s3", "region=eu"],
    ),
    place(
        Kind::Text,
        "GET https://h/p?a=1&X-Amz-Security-Token={S}&b=2 done",
        &["a=1", "b=2", "done"],
    ),
    place(
        Kind::Text,
        "http://a:{S}@h1,http://b:{S}@h2 end",
        &["h1", "h2 end"],
    ),
    place(
        Kind::Text,
        "http://u:{S}/{S}@proxy:1 end",
        &["@proxy:1 end"],
    ),
    place(
        Kind::Text,
        "client-key-data: {S}\nname: me\n",
        &["name: me"],
    ),
    place(
        Kind::Text,
        "x\n-----BEGIN OPENSSH PRIVATE KEY-----\n{S}\n{S}\n-----END OPENSSH PRIVATE KEY-----\ny",
        &["x\n", "\ny"],
    ),
    place(Kind::Text, "x\n-----BEGIN PGP MESSAGE-----\n{S}", &["x\n"]),
    // rekit's own documents: what a program said is in them, word for word.
    place(
        Kind::Document,
        r#"{"key":"team","arguments":["--debug","--token","{S}"]}"#,
        &["\"key\": \"team\"", "--debug"],
    ),
    place(
        Kind::Document,
        r#"{"driver_opts":{"env.FOO":"{S}","network":"host"}}"#,
        &["\"network\": \"host\""],
    ),
    place(
        Kind::Document,
        r#"{"last_words":"failed: password={S} for /x"}"#,
        &["for /x"],
    ),
];

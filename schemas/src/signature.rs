//! The signature of a case: an OpenSSH signature of its manifest, which holds the hash of everything else. It is what
//! `ssh-keygen -Y sign -n argus-case` makes, so that anybody can check it without Argus.

use ssh_key::{HashAlg, LineEnding, PrivateKey, PublicKey, SshSig};

/// What the signature is for: one that was made for something else does not pass for a case's.
pub const NAMESPACE: &str = "argus-case";

/// How every signature of a file begins.
const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";

/// Why a key or a signature is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not a private key that can be used here.
    #[error("it is no private key in OpenSSH's format: {0}")]
    PrivateKey(String),
    /// Its passphrase would have to be asked for.
    #[error("the key is protected by a passphrase, which a capture cannot ask for")]
    Protected,
    /// Not a public key.
    #[error("it is no public key in OpenSSH's format: {0}")]
    PublicKey(String),
    /// The library cannot sign with this kind of key.
    #[error("nothing can be signed with this key: {0} (Ed25519 and ECDSA P-256 keys can sign)")]
    Sign(String),
}

/// A key that signs cases.
pub struct Signer(PrivateKey);

impl Signer {
    /// Reads a private key, as `ssh-keygen` writes it.
    ///
    /// # Errors
    /// [`SignatureError`] where it is none, or cannot sign.
    pub fn read(text: &str) -> Result<Signer, SignatureError> {
        let key = PrivateKey::from_openssh(text).map_err(|error| SignatureError::PrivateKey(error.to_string()))?;
        if key.is_encrypted() {
            return Err(SignatureError::Protected);
        }
        let signer = Signer(key);
        signer.sign(b"").map(|_| signer)
    }

    /// The signature of these bytes, as text.
    ///
    /// # Errors
    /// Where the key cannot sign, which [`Signer::read`] has tried.
    pub fn sign(&self, bytes: &[u8]) -> Result<String, SignatureError> {
        let failed = |error: ssh_key::Error| SignatureError::Sign(error.to_string());
        self.0
            .sign(NAMESPACE, HashAlg::Sha512, bytes)
            .and_then(|signature| signature.to_pem(LineEnding::LF))
            .map_err(failed)
    }

    /// What to know the key by: `SHA256:...`, as `ssh-keygen -l` shows it.
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }
}

/// Reads public keys, one a line, as `.pub` files hold them; empty lines and comments say nothing.
///
/// # Errors
/// [`SignatureError::PublicKey`] where a line is none, or there is none.
pub fn public_keys(text: &str) -> Result<Vec<PublicKey>, SignatureError> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let read = |line| PublicKey::from_openssh(line).map_err(|error| SignatureError::PublicKey(error.to_string()));
    let keys: Vec<PublicKey> = lines.map(read).collect::<Result<_, _>>()?;
    if keys.is_empty() { Err(SignatureError::PublicKey("the file holds none".to_owned())) } else { Ok(keys) }
}

/// What a file of signatures says of some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signed {
    /// A key with this fingerprint signed them.
    By(String),
    /// None of the signatures is one of these bytes, by the key that it names.
    Not,
}

/// Looks for a signature of `bytes` among those in `text`. There can be two: while the manifest is replaced, the file
/// holds that of the one before and that of the one after.
pub fn signed(bytes: &[u8], text: &str) -> Signed {
    for (start, _) in text.match_indices(BEGIN) {
        let rest = &text[start..];
        let end = rest[BEGIN.len()..].find(BEGIN).map_or(rest.len(), |next| next + BEGIN.len());
        let Ok(signature) = SshSig::from_pem(rest[..end].trim_end()) else { continue };
        let key = PublicKey::from(signature.public_key().clone());
        if key.verify(NAMESPACE, bytes, &signature).is_ok() {
            return Signed::By(key.fingerprint(HashAlg::Sha256).to_string());
        }
    }
    Signed::Not
}

/// What to know a public key by.
pub fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key made by `ssh-keygen -t ed25519`, and what it made by `ssh-keygen -Y sign -n argus-case` of `whole\n`.
    const PUBLIC: &str = include_str!("../tests/signing/key.pub");
    const BY_OPENSSH: &str = include_str!("../tests/signing/whole.sig");

    /// A private key, as a file would hold it.
    fn key() -> PrivateKey {
        PrivateKey::from(ssh_key::private::Ed25519Keypair::from_seed(&[7; 32]))
    }

    #[track_caller]
    fn check(bytes: &[u8], text: &str, by: Option<&PublicKey>) {
        assert_eq!(signed(bytes, text), by.map_or(Signed::Not, |key| Signed::By(fingerprint(key))));
    }

    #[test]
    fn what_was_signed_is_known_and_nothing_else() {
        let signer = Signer::read(&key().to_openssh(LineEnding::LF).unwrap()).unwrap();
        let own = key().public_key().clone();
        let own = Some(&own);
        let (one, other) = (signer.sign(b"one").unwrap(), signer.sign(b"other").unwrap());
        check(b"one", &one, own);
        check(b"one ", &one, None);
        check(b"other", &one, None);
        check(b"one", &format!("{other}\n{one}\n"), own);
        check(b"other", &format!("{other}{one}"), own);
        check(b"one", "", None);
        check(b"one", &one.replace("AAAA", "AAAB"), None);
        check(b"one", BEGIN, None);
        assert_eq!(signer.fingerprint(), fingerprint(key().public_key()));
        check(b"whole\n", BY_OPENSSH, public_keys(PUBLIC).unwrap().first());
        let elsewhere = key().sign("file", HashAlg::Sha512, b"one").unwrap().to_pem(LineEnding::LF).unwrap();
        check(b"one", &elsewhere, None);
    }

    #[test]
    fn what_is_no_key_is_said_to_be_none() {
        assert!(matches!(Signer::read("no key"), Err(SignatureError::PrivateKey(_))));
        assert!(matches!(Signer::read(PUBLIC), Err(SignatureError::PrivateKey(_))));
        assert!(matches!(public_keys("# nothing\n\n"), Err(SignatureError::PublicKey(_))));
        assert!(matches!(public_keys("ssh-ed25519 x"), Err(SignatureError::PublicKey(_))));
        let protected = include_str!("../tests/signing/protected");
        assert!(matches!(Signer::read(protected), Err(SignatureError::Protected)));
    }
}

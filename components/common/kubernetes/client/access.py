"""The cluster that this process has access to, by its pod's service account or a kubeconfig."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kfp_tabular.components.common import certificates
from kfp_tabular.components.common.errors import UserError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient, Configuration


@dataclass(frozen=True)
class ClusterAccess:
    """Access to a cluster.

    Attributes:
        client: The official client.
        namespace: That of this pod, or of the kubeconfig's context.
        authority_advice: What to do if the API server's certificate is not trusted.
    """

    client: "ApiClient"
    namespace: str
    authority_advice: str


def find() -> ClusterAccess:
    """Return access by `KUBECONFIG`, else the pod's service account, else `~/.kube/config`.

    Raises:
        UserError: None of them exists, or it cannot be used.
    """
    from kubernetes.config.incluster_config import SERVICE_HOST_ENV_NAME

    if SERVICE_HOST_ENV_NAME in os.environ and "KUBECONFIG" not in os.environ:
        return _by_service_account()
    return _by_kubeconfig()


def _by_service_account() -> ClusterAccess:
    from kubernetes import config
    from kubernetes.config.incluster_config import SERVICE_CERT_FILENAME, SERVICE_TOKEN_FILENAME

    advice = (
        f"The pod's service account trusts the authority in {SERVICE_CERT_FILENAME}, which comes "
        "from the ConfigMap kube-root-ca.crt of the namespace. Check whether it is the API "
        "server's, and whether a proxy is in between."
    )
    configuration = _configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)
        namespace = Path(SERVICE_TOKEN_FILENAME).with_name("namespace").read_text().strip()
    except (config.ConfigException, OSError) as error:
        raise UserError(
            f"No access to the cluster of this pod: {str(error).rstrip('.')}. Its service account "
            "needs automountServiceAccountToken: true, and so does the pod."
        ) from error
    try:
        client = _client(configuration)
    except OSError as error:
        raise UserError(f"No access to the cluster of this pod: {error}. {advice}") from error
    return ClusterAccess(client, namespace, advice)


def _by_kubeconfig() -> ClusterAccess:
    from kubernetes import config
    from yaml import YAMLError

    # The client library reads the variable once, when it is imported.
    file = os.environ.get("KUBECONFIG")
    configuration = _configuration()
    try:
        config.load_kube_config(file, client_configuration=configuration)
        _, context = config.list_kube_config_contexts(file)
        client = _client(configuration)
    except (config.ConfigException, OSError, YAMLError) as error:
        raise UserError(
            f"No access to a Kubernetes cluster: {str(error).rstrip('.')}. Run this as a task on "
            "Kubeflow, or set KUBECONFIG."
        ) from error
    return ClusterAccess(
        client,
        context["context"].get("namespace") or "default",
        "Check the certificate authority in the kubeconfig.",
    )


def _configuration() -> "Configuration":
    from kubernetes.client import Configuration

    configuration = Configuration()
    # Retries are bounded and logged by `Api`; the transport must not add its own.
    configuration.retries = False
    return configuration


def _client(configuration: "Configuration") -> "ApiClient":
    from kubernetes.client import ApiClient

    client = ApiClient(configuration)
    if str(configuration.host).startswith("https:"):
        certificates.relax_pool(client.rest_client.pool_manager)
    return client

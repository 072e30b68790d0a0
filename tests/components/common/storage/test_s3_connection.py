from kfp_tabular.components.common.storage.s3 import KUBEFLOW_MINIO, Connection, connection

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}


def test_s3_leaves_what_is_not_set_to_the_sdk():
    assert connection("s3", {}) == Connection()


def test_minio_goes_to_kubeflow_by_default():
    found = connection("minio", KEYS)
    assert found.endpoint == KUBEFLOW_MINIO
    assert (found.access_key, found.secret_key) == ("key", "secret")


def test_an_endpoint_needs_no_region():
    assert connection("s3", {"AWS_ENDPOINT_URL": "http://store:9000"}).region == "us-east-1"
    assert connection("s3", {"AWS_REGION": "eu-central-1"}).region == "eu-central-1"


def test_the_more_specific_setting_wins():
    environment = {
        **KEYS,
        "S3_ENDPOINT": "c:1",
        "AWS_ENDPOINT_URL": "http://b:1",
        "AWS_ENDPOINT_URL_S3": "http://a:1",
        "MINIO_ENDPOINT": "http://m:1",
        "MINIO_ACCESS_KEY": "minio",
        "MINIO_SECRET_KEY": "minio123",
    }
    assert connection("s3", environment).endpoint == "http://a:1"
    assert connection("s3", environment).access_key == "key"
    assert connection("minio", environment).endpoint == "http://m:1"
    assert connection("minio", environment).access_key == "minio"


def test_an_endpoint_without_a_scheme_is_https_unless_told():
    assert connection("s3", {"S3_ENDPOINT": "host:9000"}).endpoint == "https://host:9000"
    plain = {"S3_ENDPOINT": "host:9000", "S3_USE_HTTPS": "0"}
    assert connection("s3", plain).endpoint == "http://host:9000"


def test_unsigned_requests():
    assert connection("s3", {"AWS_NO_SIGN_REQUEST": "YES"}).anonymous

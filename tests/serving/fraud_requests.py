"""Requests to the model `fraud` of the tests."""

V1 = "/v1/models/fraud:predict"
V2 = "/v2/models/fraud/infer"
DATATYPES = {
    "amount": "FP32",
    "Straße & Nr.": "BYTES",
    "hour": "INT64",
    "商户": "BYTES",
    "rate": "FP64",
}
SHOP = {"name": "商户", "shape": [1], "datatype": "BYTES", "data": ["x"]}


def tensor(**changes):
    return {"name": "amount", "shape": [1], "datatype": "FP32", "data": [1.5]} | changes


def tensors(rows):
    return [
        {
            "name": name,
            "shape": [len(rows)],
            "datatype": datatype,
            "data": [row.get(name) for row in rows],
        }
        for name, datatype in DATATYPES.items()
    ]

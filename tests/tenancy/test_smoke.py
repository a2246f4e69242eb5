async def test_x(company):
    r = await company.people["student"].request("GET", "/v1/me")
    print(r.status_code, r.text)
    for n in ("province","counselor"):
        r = await company.people[n].request("GET", "/v1/students")
        print(r.status_code, len(r.json()["items"]))
    rc = company.estates["school"]["roll_call"]
    r = await company.people["registrar"].request("GET", f"/v1/roll-calls/{rc}/progress/stream")
    print(r.status_code, await r.aread(), r.headers)
    r = await company.people["registrar"].request("PUT", f"/v1/accounts")
    print(r.status_code, r.headers, r.text)
    r = await company.people["registrar"].request("POST", "/v1/accounts", content=b'{"\\ud800":1}', headers={"content-type":"application/json"})
    print(r.status_code, r.text)
    r = await company.people["registrar"].request("POST", "/v1/accounts", content=b'1'*(9*2**20), headers={"content-type":"application/json"})
    print(r.status_code, r.text)
    print(company.estates)

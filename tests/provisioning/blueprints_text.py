"""A small blueprint that needs nothing but rows, and how tests give it parameters."""

SMALL = """
blueprint: small-team
version: 1
title: Small team
parameters:
  name: {type: account_name}
  prefix: {type: token}
  size: {type: choice, choices: {small: Small, large: Large}, default: small}
  mqtt: {type: flag, default: false, needs: mqtt}
  note: {type: text, required: false}
  devices:
    type: table
    required: false
    columns:
      name: {type: token}
      nkey: {type: nkey, required: false}
      description: {type: text, required: false}
    unique: [name, nkey]
values:
  connections: {case: "${size}", of: {small: 10, large: 1000}}
  credential: {case: "${mqtt}", of: {true: password, false: nkey}}
accounts:
  - name: ${name}
    description: "${note} of ${prefix}, costs $$5"
    max_connections: ${connections}
    roles:
      - name: device
        permissions:
          - publish ${prefix}.{{name()}}.>
          - when: ${mqtt}
            value: subscribe ${prefix}.mqtt.>
    users:
      - for_each: ${devices}
        as: device
        when: ${device.nkey}
        name: ${device.name}
        nkey: ${device.nkey}
        role: device
      - for_each: ${devices}
        as: device
        unless: ${device.nkey}
        name: ${device.name}
        description: ${device.description}
        credential: ${credential}
        role: device
      - name: ${prefix}-backend
        permissions: ["subscribe ${prefix}.>"]
"""

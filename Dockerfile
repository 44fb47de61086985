# One image for every Towpath process; the command says which.

FROM golang:1.26.8-bookworm AS build
WORKDIR /src
# Modules first: they change seldom, so this layer is kept.
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /towpath ./cmd/towpath

# Static: certificates, time zones and a user, no shell and nothing else to
# patch. The binary has no C in it, so it needs no more.
FROM gcr.io/distroless/static-debian13:nonroot
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Towpath" \
      org.opencontainers.image.description="Keeps Odoo and the systems around it in step, durably" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /towpath /towpath
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
EXPOSE 8080 9464
ENTRYPOINT ["/towpath"]
CMD ["--help"]
